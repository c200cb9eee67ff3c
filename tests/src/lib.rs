//! Nothing: the tests stand in `e2e/`.
