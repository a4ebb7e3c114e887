/* SPDX-License-Identifier: Apache-2.0 */
/* Who gives way when there are too many connections: over real sockets, without a server. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "guests.h"

#define LIMIT 8

static struct kms_guests *guests;
static struct kms_guest list[32];
static int far[32]; /* the other end of each */
static size_t n;

static void
enter(const char *site)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    far[n] = pair[1];
    kms_guest_enter(guests, &list[n++], pair[0], mkt_span(site, strlen(site)));
}

static bool
is_shut(size_t i)
{
    struct pollfd p = { .fd = far[i], .events = POLLIN };

    return poll(&p, 1, 0) == 1;
}

static void
leave(size_t i)
{
    kms_guest_leave(guests, &list[i]);
    close(list[i].fd);
    close(far[i]);
}

static int
begin(void **state)
{
    (void)state;
    memset(list, 0, sizeof list);
    n = 0;
    guests = kms_guests_new(LIMIT, 600);
    return guests == NULL;
}

static int
end(void **state)
{
    (void)state;
    kms_guests_free(guests);
    return 0;
}

static void
who_has_the_most_gives_way_the_longest_idle_first(void **state)
{
    (void)state;
    enter("a"); /* came first, and is alone */
    for (int i = 0; i < LIMIT - 1; i++)
        enter("b");
    for (size_t i = 0; i < n; i++)
        assert_false(is_shut(i));
    kms_guest_served(guests, &list[1]);
    enter("c");
    assert_true(is_shut(2)); /* of b, and not the one that was served just now */
    enter("c");
    assert_true(is_shut(3));
    for (size_t i = 0; i < n; i++)
        assert_true(is_shut(i) == (i == 2 || i == 3));
    for (size_t i = 0; i < n; i++)
        leave(i);
}

static void
who_leaves_makes_room(void **state)
{
    (void)state;
    for (int i = 0; i < LIMIT; i++)
        enter("b");
    leave(4);
    enter("a");
    for (size_t i = 0; i < n; i++)
        assert_true(i == 4 || !is_shut(i));
    enter("a");
    assert_true(is_shut(0));
    leave(0); /* it was not counted any more */
    enter("a");
    assert_true(is_shut(1));
    for (size_t i = 1; i < n; i++)
        if (i != 4)
            leave(i);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_has_the_most_gives_way_the_longest_idle_first, begin,
                                        end),
        cmocka_unit_test_setup_teardown(who_leaves_makes_room, begin, end),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
