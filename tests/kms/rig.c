/* SPDX-License-Identifier: Apache-2.0 */
/* Processes, files and sockets of the tests. Whatever goes wrong here is no result of a test: the
 * rig aborts. */
#include "rig.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hex.h"

static void
must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

/* The programs of the same build as this one: ../../kms/ from where it stands. */
static void
program_path(const char *program, char path[4096])
{
    ssize_t n = readlink("/proc/self/exe", path, 3072);

    must(n > 0, "/proc/self/exe");
    path[n] = '\0';
    for (int up = 0; up < 3; up++) {
        char *slash = strrchr(path, '/');

        must(slash != NULL, path);
        *slash = '\0';
    }
    snprintf(path + strlen(path), 512, "/kms/%s", program);
}

static void
path_in(const struct rig *r, const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", r->dir, name);
}

void
rig_write_octets(const struct rig *r, const char *name, struct mkt_span octets)
{
    char path[256];
    int fd;

    path_in(r, name, path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, octets.p, octets.n) == (ssize_t)octets.n && close(fd) == 0, path);
}

void
rig_write(const struct rig *r, const char *name, const char *text)
{
    char path[256];
    FILE *f;

    path_in(r, name, path);
    f = fopen(path, "w");
    must(f != NULL, path);
    fputs(text, f);
    must(fclose(f) == 0, path);
}

size_t
rig_read(const struct rig *r, const char *name, char *buf, size_t cap)
{
    char path[256];
    size_t n = 0;
    FILE *f;

    path_in(r, name, path);
    f = fopen(path, "r");
    if (f != NULL) {
        n = fread(buf, 1, cap - 1, f);
        fclose(f);
    }
    buf[n] = '\0';
    return n;
}

void
rig_config(const struct rig *r, const char *more)
{
    char text[2048];

    snprintf(text, sizeof text,
             "identity: " RIG_KMS "\nlisten: [udp://127.0.0.1:0, http://127.0.0.1:0]\n"
             "store: sqlite:kms.db\n%s",
             more);
    rig_write(r, "kms.yaml", text);
}

void
rig_open(struct rig *r, const char *more)
{
    const char *tmp = getenv("TMPDIR");

    memset(r, 0, sizeof *r);
    snprintf(r->dir, sizeof r->dir, "%s/mikey-kms-XXXXXX", tmp != NULL ? tmp : "/tmp");
    must(mkdtemp(r->dir) != NULL, r->dir);
    rig_config(r, more);
}

static void
remove_folder(const char *folder)
{
    char path[512];
    struct dirent *e;
    DIR *d = opendir(folder);

    must(d != NULL, folder);
    while ((e = readdir(d)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] == '.')
            continue;
        if (unlink(path) != 0 && errno == EISDIR)
            remove_folder(path);
    }
    closedir(d);
    rmdir(folder);
}

void
rig_close(struct rig *r)
{
    if (r->pid != 0)
        (void)rig_stop(r);
    remove_folder(r->dir);
}

static void
redirect(const struct rig *r, const char *name, int fd)
{
    char path[256];
    int to;

    path_in(r, name, path);
    to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (to < 0 || dup2(to, fd) < 0)
        _exit(126);
    close(to);
}

static pid_t
spawn(const struct rig *r, const char *const *words, int out)
{
    char path[4096];
    pid_t pid;
    int in;

    program_path(words[0], path);
    pid = fork();
    must(pid >= 0, "fork");
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that aborts leaves no daemon behind */
    if (r->file_limit != 0) {
        struct rlimit limit = { r->file_limit, r->file_limit };

        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    if (out < 0)
        redirect(r, "out", STDOUT_FILENO);
    else if (dup2(out, STDOUT_FILENO) < 0)
        _exit(126);
    redirect(r, out < 0 ? "err" : "log", STDERR_FILENO);
    if (chdir(r->dir) != 0)
        _exit(126);
    in = open("in", O_RDONLY);
    if (dup2(in >= 0 ? in : open("/dev/null", O_RDONLY), STDIN_FILENO) < 0)
        _exit(126);
    execv(path, (char *const *)(uintptr_t)words);
    _exit(127);
}

pid_t
rig_spawn(const struct rig *r, const char *const *words)
{
    return spawn(r, words, -1);
}

int
rig_reap(pid_t pid)
{
    int status;

    must(waitpid(pid, &status, 0) == pid, "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
rig_run(const struct rig *r, const char *const *words)
{
    return rig_reap(spawn(r, words, -1));
}

static void
take_port(const char *line, const char *before, int *port)
{
    if (strncmp(line, before, strlen(before)) == 0)
        *port = (int)strtol(line + strlen(before), NULL, 10);
}

void
rig_start(struct rig *r)
{
    static const char *const words[] = { "mikey-kmsd", "--config", "kms.yaml", NULL };
    char line[256];
    int fds[2];
    FILE *f;
    bool ready = false;

    must(pipe2(fds, O_CLOEXEC) == 0, "pipe");
    r->pid = spawn(r, words, fds[1]);
    close(fds[1]);
    f = fdopen(fds[0], "r");
    must(f != NULL, "fdopen");
    while (!ready && fgets(line, sizeof line, f) != NULL) {
        take_port(line, "listening udp://127.0.0.1:", &r->udp_port);
        take_port(line, "listening http://127.0.0.1:", &r->http_port);
        take_port(line, "admin http://127.0.0.1:", &r->admin_port);
        ready = strcmp(line, "ready\n") == 0;
    }
    fclose(f);
    if (!ready) {
        char log[4096];

        rig_read(r, "log", log, sizeof log);
        fprintf(stderr, "the daemon did not start:\n%s", log);
        abort();
    }
}

int
rig_stop(struct rig *r)
{
    pid_t pid = r->pid;

    r->pid = 0;
    kill(pid, SIGTERM);
    return rig_reap(pid);
}

void
rig_kill(struct rig *r)
{
    pid_t pid = r->pid;

    r->pid = 0;
    kill(pid, SIGKILL);
    (void)rig_reap(pid);
}

bool
rig_alive(const struct rig *r)
{
    return waitpid(r->pid, NULL, WNOHANG) == 0;
}

void
rig_add(const struct rig *r, const struct rig_user *u)
{
    char hex[2 * MKT_SECRET_MAX + 1];

    kms_hex_write(hex, u->psk.key.b, u->psk.key.n);
    must(RIG_RUN(r, "mikey-kmsctl", "--config", "kms.yaml", "user", "add", u->identity, "--psk-id",
                 u->psk_id, "--psk-hex", hex) == 0,
         "user add");
}

void
rig_add_two(const struct rig *r, struct rig_user *alice, struct rig_user *bob)
{
    rig_user_init(alice, "sip:alice@example.com", "alice", MKT_PRF_HMAC_SHA_256);
    rig_user_init(bob, "sip:bob@example.com", "bob", MKT_PRF_HMAC_SHA_256);
    rig_add(r, alice);
    rig_add(r, bob);
}

void
rig_crowd(const struct rig *r, unsigned users)
{
    char path[256];
    FILE *f;

    if (users == 0)
        return;
    path_in(r, "crowd.csv", path);
    f = fopen(path, "w");
    must(f != NULL, path);
    fputs("identity,psk-id,psk\n", f);
    for (unsigned i = 0; i < users; i++)
        fprintf(f, "sip:user%u@crowd.example.com,crowd%u,%064x\n", i, i, i + 1);
    must(fclose(f) == 0 && chmod(path, 0600) == 0, path);
    must(RIG_RUN(r, "mikey-kmsctl", "--config", "kms.yaml", "import", "crowd.csv") == 0, "import");
    unlink(path);
}

static int
connected(int type, int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

    must(fd >= 0, "socket");
    must(connect(fd, (const struct sockaddr *)&to, sizeof to) == 0, "connect");
    if (type == SOCK_STREAM)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

int
rig_udp_socket(const struct rig *r)
{
    return connected(SOCK_DGRAM, r->udp_port);
}

size_t
rig_udp_ask(int fd, struct mkt_span in, uint8_t *out, int ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    ssize_t n;

    if (send(fd, in.p, in.n, 0) < 0 || poll(&p, 1, ms) != 1)
        return 0;
    n = recv(fd, out, MKT_MSG_MAX, 0);
    return n < 0 ? 0 : (size_t)n;
}

int
rig_http_connect(const struct rig *r)
{
    return connected(SOCK_STREAM, r->http_port);
}

bool
rig_http_send(int fd, const void *p, size_t n)
{
    for (const char *at = p; n > 0;) {
        ssize_t done = send(fd, at, n, MSG_NOSIGNAL);

        if (done <= 0)
            return false;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

/* One octet at a time up to the blank line: heads are short, and nothing behind them is taken. */
int
rig_http_read(int fd, char *head, uint8_t *out, size_t *len)
{
    size_t n = 0, want;
    int status = 0;
    const char *length;

    *len = 0;
    head[0] = '\0';
    while (n < 4095 && (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0)) {
        if (recv(fd, head + n, 1, 0) != 1)
            return 0;
        head[++n] = '\0';
    }
    if (strncmp(head, "HTTP/1.1 ", 9) != 0)
        return 0;
    status = (int)strtol(head + 9, NULL, 10);
    length = strcasestr(head, "content-length:");
    want = length == NULL ? 0 : strtoul(length + 15, NULL, 10);
    must(want <= 2 * MKT_MSG_MAX, "a response larger than any message");
    while (*len < want) {
        ssize_t got = recv(fd, out + *len, want - *len, 0);

        if (got <= 0)
            return 0;
        *len += (size_t)got;
    }
    return status;
}

int
rig_http_post(int fd, const char *kind, struct mkt_span body, uint8_t *out, size_t *len)
{
    char head[4096];
    int n = snprintf(head, sizeof head,
                     "POST /keymanagement?requesttype=%s HTTP/1.1\r\nHost: kms\r\n"
                     "Content-Type: application/mikey\r\nContent-Length: %zu\r\n\r\n",
                     kind, body.n);

    if (!rig_http_send(fd, head, (size_t)n) || !rig_http_send(fd, body.p, body.n))
        return 0;
    return rig_http_read(fd, head, out, len);
}

int
rig_get(const struct rig *r, const char *method, const char *path, char *text, size_t cap)
{
    int fd = connected(SOCK_STREAM, r->admin_port), status;
    static uint8_t body[2 * MKT_MSG_MAX];
    char head[4096];
    size_t n;

    n = (size_t)snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: kms\r\n\r\n", method, path);
    must(rig_http_send(fd, head, n), path);
    status = rig_http_read(fd, head, body, &n);
    close(fd);
    must(n < cap, "a page larger than the test expects");
    memcpy(text, body, n);
    text[n] = '\0';
    return status;
}

int64_t
rig_steady_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int
rig_by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

uint64_t
rig_cpu_us(const struct rig *r)
{
    struct timespec ts;
    clockid_t clock;

    must(clock_getcpuclockid(r->pid, &clock) == 0 && clock_gettime(clock, &ts) == 0, "cpu clock");
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}
