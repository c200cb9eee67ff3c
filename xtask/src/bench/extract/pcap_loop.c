/* What no reader of captures through libpcap goes under: each packet fetched, its bytes counted. */
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *data;
	uint64_t packets = 0, bytes = 0;
	pcap_t *capture;
	int result;

	if (argc != 2) {
		fprintf(stderr, "which capture?\n");
		return 2;
	}
	capture = pcap_open_offline(argv[1], error);
	if (capture == NULL) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	while ((result = pcap_next_ex(capture, &header, &data)) == 1) {
		packets++;
		bytes += header->caplen;
	}
	if (result != PCAP_ERROR_BREAK) {
		fprintf(stderr, "%s: %s\n", argv[1], pcap_geterr(capture));
		return 1;
	}
	pcap_close(capture);
	printf("%" PRIu64 " packets, %" PRIu64 " bytes\n", packets, bytes);
	return 0;
}
