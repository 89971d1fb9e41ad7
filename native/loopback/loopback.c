/* SPDX-License-Identifier: Apache-2.0 */
/* The CNI plugin `loopback`, which containerd calls for every pod: sets the pod's own device up. Nodes that have one of
 * another make keep it. */
#include "../cni/text.h"
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static char config[1 << 20];
static const char *version = "1.0.0";

static int failed(int code, const char *message)
{
	printf("{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":\"%s\"}\n", version, code, message);
	return 1;
}

static int set_up(const char *netns)
{
	int namespace = open(netns, O_RDONLY | O_CLOEXEC);
	if (namespace < 0 || setns(namespace, CLONE_NEWNET)) return -1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo" };
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo)) return -1;
	lo.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &lo);
}

int main(void)
{
	const char *command = getenv("CNI_COMMAND"), *netns = getenv("CNI_NETNS");
	if (!command) command = "";
	size_t length = fread(config, 1, sizeof config - 1, stdin);
	if (length > 0 && json_is_object(config, length)) {
		char *asked = json_find_string(config, length, "cniVersion");
		if (asked && strspn(asked, "0123456789.") == strlen(asked)) version = asked;
	}
	if (!strcmp(command, "VERSION")) {
		puts("{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}");
		return 0;
	}
	if (!strcmp(command, "ADD")) {
		if (!netns) return failed(4, "CNI_NETNS is missing");
		if (set_up(netns)) return failed(5, "the loopback device can not be set up");
		const char *old = version[0] == '0' ? "\"version\":\"4\"," : "";
		const char *old6 = version[0] == '0' ? "\"version\":\"6\"," : "";
		printf("{\"cniVersion\":\"%s\",\"interfaces\":[{\"name\":\"lo\",\"mac\":\"00:00:00:00:00:00\",\"sandbox\":\"%s\"}],"
		       "\"ips\":[{%s\"address\":\"127.0.0.1/8\",\"interface\":0},{%s\"address\":\"::1/128\",\"interface\":0}]}\n",
		       version, netns, old, old6);
		return 0;
	}
	if (!strcmp(command, "CHECK") && netns && set_up(netns)) return failed(11, "the loopback device is down");
	/* Nothing to undo: the device goes with its namespace. */
	return 0;
}
