/* SPDX-License-Identifier: Apache-2.0 */
/* UDP on the loopback interface. Ports are chosen by the system and printed, so that any number of
 * demonstrations can run side by side. */
#include "demo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct sockaddr_in
demo_loopback(uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

uint16_t
demo_port(const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    if (port == 0 || port > UINT16_MAX || *end != '\0') {
        demo_fail("\"%s\" is not a port", text);
        return 0;
    }
    return (uint16_t)port;
}

int
demo_listen(void)
{
    struct sockaddr_in a = demo_loopback(0);
    socklen_t len = sizeof a;
    int room = 1 << 20;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
        demo_fail("no UDP socket: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    /* Without more room it still works, only with less reserve. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    printf("listening %u\n", (unsigned)ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

ssize_t
demo_receive(int fd, uint8_t *buf, size_t cap, int wait_ms, struct sockaddr_in *from)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    socklen_t len = sizeof *from;
    int ready = poll(&p, 1, wait_ms);

    if (ready <= 0)
        return ready;
    return recvfrom(fd, buf, cap, 0, (struct sockaddr *)from, from != NULL ? &len : NULL);
}
