/* The plain way with libnetfilter_queue: one recv and one verdict for each packet.
 * usage: simple QUEUE */
#include "queue.h"

static int each(struct nfq_q_handle *q, struct nfgenmsg *msg, struct nfq_data *data, void *context)
{
	struct nfqnl_msg_packet_hdr *head = nfq_get_msg_packet_hdr(data);

	(void)msg;
	(void)context;
	received++;
	if (nfq_set_verdict(q, ntohl(head->packet_id), NF_ACCEPT, 0, NULL) < 0)
		die("nfq_set_verdict");
	passed++;
	return 0;
}

int main(int argc, char **argv)
{
	static char slot[SLOT] __attribute__((aligned(8)));
	struct nfq_handle *h;
	struct nfq_q_handle *q;

	if (argc != 2) {
		fprintf(stderr, "usage: %s QUEUE\n", argv[0]);
		return 2;
	}
	q = open_queue(argv[1], each, 0, &h);
	while (!over) {
		ssize_t n = recv(nfq_fd(h), slot, sizeof slot, 0);

		if (n >= 0)
			nfq_handle_packet(h, slot, (int)n);
		else if (!may_go_on())
			die("recv");
	}
	tell(h, q);
	return 0;
}
