/* The fast way in C: recvmmsg, one verdict for all packets that came with it (NFQNL_MSG_VERDICT_BATCH), super-packets whole.
 * usage: batch QUEUE */
#define _GNU_SOURCE
#include "queue.h"

enum { SLOTS = 64 };

static uint32_t last; /* id of the packet that was seen last */

static int each(struct nfq_q_handle *q, struct nfgenmsg *msg, struct nfq_data *data, void *context)
{
	(void)q;
	(void)msg;
	(void)context;
	last = ntohl(nfq_get_msg_packet_hdr(data)->packet_id);
	received++;
	return 0;
}

int main(int argc, char **argv)
{
	static char slots[SLOTS][SLOT] __attribute__((aligned(8)));
	static struct iovec vectors[SLOTS];
	static struct mmsghdr msgs[SLOTS];
	struct nfq_handle *h;
	struct nfq_q_handle *q;

	if (argc != 2) {
		fprintf(stderr, "usage: %s QUEUE\n", argv[0]);
		return 2;
	}
	for (int i = 0; i < SLOTS; i++) {
		vectors[i] = (struct iovec){slots[i], SLOT};
		msgs[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
	}
	q = open_queue(argv[1], each, 1, &h);
	while (!over) {
		uint64_t before = received;
		int n = recvmmsg(nfq_fd(h), msgs, SLOTS, MSG_WAITFORONE, NULL);

		if (n < 0 && !may_go_on())
			die("recvmmsg");
		for (int i = 0; i < n; i++)
			nfq_handle_packet(h, slots[i], (int)msgs[i].msg_len);
		if (received == before)
			continue;
		if (nfq_set_verdict_batch(q, last, NF_ACCEPT) < 0)
			die("nfq_set_verdict_batch");
		passed = received;
	}
	tell(h, q);
	return 0;
}
