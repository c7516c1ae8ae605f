/* What both programs share: the life of a program under test, see bench/nfqueue. */
#ifndef WEIR_QUEUE_H
#define WEIR_QUEUE_H

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libnetfilter_queue/libnetfilter_queue.h>

enum { QUEUE_LENGTH = 16384, SOCKET_MEMORY = 64 << 20, SLOT = 66 << 10 };

static volatile sig_atomic_t over; /* SIGTERM came */
static uint64_t received, passed;

static void end(int signal)
{
	(void)signal;
	over = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

/* open_queue binds a queue that gives whole packets, and says that it is ready. With gso packets are not cut into segments. */
static struct nfq_q_handle *open_queue(const char *number, nfq_callback *each, int gso, struct nfq_handle **h)
{
	struct sigaction act = {.sa_handler = end};
	struct timeval wait = {.tv_usec = 100000}; /* for a signal that comes between two looks */
	int memory = SOCKET_MEMORY, yes = 1;
	struct nfq_q_handle *q;

	sigaction(SIGTERM, &act, NULL);
	*h = nfq_open();
	if (!*h)
		die("nfq_open");
	q = nfq_create_queue(*h, (uint16_t)atoi(number), each, NULL);
	if (!q)
		die("nfq_create_queue");
	if (nfq_set_mode(q, NFQNL_COPY_PACKET, 0xffff) < 0)
		die("nfq_set_mode");
	if (nfq_set_queue_maxlen(q, QUEUE_LENGTH) < 0)
		die("nfq_set_queue_maxlen");
	if (gso && nfq_set_queue_flags(q, NFQA_CFG_F_GSO, NFQA_CFG_F_GSO) < 0)
		die("nfq_set_queue_flags");
	if (setsockopt(nfq_fd(*h), SOL_SOCKET, SO_RCVBUFFORCE, &memory, sizeof memory) < 0 ||
	    setsockopt(nfq_fd(*h), SOL_NETLINK, NETLINK_NO_ENOBUFS, &yes, sizeof yes) < 0 ||
	    setsockopt(nfq_fd(*h), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0)
		die("setsockopt");
	printf("ready\n");
	fflush(stdout);
	return q;
}

/* tell closes the queue and says what was counted. */
static void tell(struct nfq_handle *h, struct nfq_q_handle *q)
{
	nfq_destroy_queue(q);
	nfq_close(h);
	printf("{\"received\":%llu,\"passed\":%llu}\n", (unsigned long long)received, (unsigned long long)passed);
}

/* may_go_on says that nothing is wrong with a socket that had nothing to give. */
static int may_go_on(void)
{
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS;
}

#endif
