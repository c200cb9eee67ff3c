"""The table that the comparison is shown beside: F1 per class of a published diffusion classifier."""

TABLE = {
    "Benign": 0.980,
    "DDoS": 0.979,
    "DoS": 0.957,
    "PortScan": 0.961,
    "Bot": 0.949,
    "BruteForce": 0.938,
    "Web": 0.923,
    "Heartbleed": 0.909,
    "Infiltration": 0.913,
}
