// SPDX-License-Identifier: Apache-2.0
/* A name server that answers every question with one address, and those who ask it.
 *   dnsbench serve PORT...                   until it is killed; prints 'ready'
 *   dnsbench ask ADDRESS PORT COUNT          one question after the other: prints p50 and p99 in microseconds, and lost ones
 *   dnsbench flood ADDRESS PORT SECONDS N    N under way at all times, from eight sockets: prints answers in a second, lost ones
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NAMES 64
#define SOCKETS 8

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int fail(const char *what)
{
	perror(what);
	exit(1);
}

static int serve(int count, char **ports)
{
	static const unsigned char answer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 18, 0, 1};
	struct pollfd fds[4];
	unsigned char m[1500];

	if (count > 4)
		return 2;
	for (int i = 0; i < count; i++) {
		struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(atoi(ports[i]))};
		fds[i].fd = socket(AF_INET, SOCK_DGRAM, 0);
		fds[i].events = POLLIN;
		if (bind(fds[i].fd, (struct sockaddr *)&own, sizeof(own)))
			fail("bind");
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		poll(fds, count, -1);
		for (int i = 0; i < count; i++) {
			struct sockaddr_in from;
			socklen_t size = sizeof(from);
			ssize_t n;
			while ((n = recvfrom(fds[i].fd, m, sizeof(m) - sizeof(answer), MSG_DONTWAIT, (struct sockaddr *)&from,
					     &size)) > 0) {
				m[2] |= 0x84;
				m[3] = 0x80;
				m[7] = 1;
				memcpy(m + n, answer, sizeof(answer));
				sendto(fds[i].fd, m, n + sizeof(answer), 0, (struct sockaddr *)&from, size);
			}
		}
	}
}

static int question(unsigned char *m, uint16_t id)
{
	static const unsigned char header[12] = {0, 0, 1, 0, 0, 1};
	int n = sizeof(header);

	memcpy(m, header, sizeof(header));
	m[0] = id >> 8;
	m[1] = id;
	n += sprintf((char *)m + n, "%c%c%03d%cbench%ctest", 4, 'n', id % NAMES, 5, 4) + 1;
	memcpy(m + n, (unsigned char[]){0, 1, 0, 1}, 4);
	return n + 4;
}

static int open_to(const char *address, const char *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	inet_pton(AF_INET, address, &to.sin_addr);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		fail("connect");
	return fd;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static int ask(char **words)
{
	int fd = open_to(words[0], words[1]), count = atoi(words[2]), lost = 0, got = 0;
	uint64_t *times = calloc(count, sizeof(*times));
	unsigned char m[1500];

	for (int i = 0; i < count; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t start = now();
		uint16_t id = i;
		send(fd, m, question(m, id), 0);
		for (;;) {
			if (poll(&p, 1, 3000) <= 0) {
				lost++;
				break;
			}
			if (recv(fd, m, sizeof(m), 0) >= 12 && m[0] == id >> 8 && m[1] == (id & 255)) {
				times[got++] = now() - start;
				break;
			}
		}
	}
	qsort(times, got, sizeof(*times), by_size);
	printf("%.1f %.1f %d\n", times[got / 2] / 1e3, times[got * 99 / 100] / 1e3, lost);
	return 0;
}

static int flood(char **words)
{
	int fds[SOCKETS], seconds = atoi(words[2]), n = atoi(words[3]);
	struct pollfd polls[SOCKETS];
	uint64_t end, answers = 0, lost = 0;
	unsigned char m[1500];
	uint16_t id = 0;

	for (int i = 0; i < SOCKETS; i++) {
		fds[i] = open_to(words[0], words[1]);
		polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	}
	for (int i = 0; i < n; i++, id++)
		send(fds[i % SOCKETS], m, question(m, id), 0);
	end = now() + (uint64_t)seconds * 1000000000;
	while (now() < end) {
		if (poll(polls, SOCKETS, 1000) <= 0) { /* all of them are lost: begin anew */
			lost += n;
			for (int i = 0; i < n; i++, id++)
				send(fds[i % SOCKETS], m, question(m, id), 0);
			continue;
		}
		for (int i = 0; i < SOCKETS; i++)
			while (polls[i].revents && recv(fds[i], m, sizeof(m), MSG_DONTWAIT) >= 12) {
				if ((m[3] & 15) == 0)
					answers++;
				else
					lost++;
				send(fds[i], m, question(m, id), 0);
				id++;
			}
	}
	printf("%.0f %llu\n", (double)answers / seconds, (unsigned long long)lost);
	return 0;
}

int main(int count, char **words)
{
	if (count > 2 && !strcmp(words[1], "serve"))
		return serve(count - 2, words + 2);
	if (count == 5 && !strcmp(words[1], "ask"))
		return ask(words + 2);
	if (count == 6 && !strcmp(words[1], "flood"))
		return flood(words + 2);
	fprintf(stderr, "dnsbench serve PORT... | ask ADDRESS PORT COUNT | flood ADDRESS PORT SECONDS N\n");
	return 2;
}
