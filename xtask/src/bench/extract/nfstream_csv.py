"""Every flow of a capture as NFStream makes it, with its statistics and without dissection, on one core, into a file."""

import sys

from nfstream import NFStreamer

if __name__ == "__main__":
    flows = NFStreamer(source=sys.argv[1], statistical_analysis=True, n_dissections=0, n_meters=1)
    print(flows.to_csv(path=sys.argv[2]))
