/* The caller of the benchmarks: sends callbacks as Mitto does, each with a reference of its own, over connections that
 * stay open; each connection sends its next one when the last was answered. One thread, epoll, no allocation per
 * request: it must cost next to nothing.
 *
 * usage: load PORT PATH CONNECTIONS REQUESTS FIRST
 *
 * sends GET /PATH?type=endCallback&reference=…&state=2&error=0&duration=7; the references are numbered from FIRST.
 * prints {"seconds":…,"accepted":N,"refused":N,"p50_ms":…,"p99_ms":…}: accepted were answered 2xx.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 4096 };

struct connection { int fd, used; double sent; char in[BUFFER]; };

static const char *path;
static long next_reference, unsent, accepted, refused;
static double *latencies;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b) {
  double one = *(const double *)a, other = *(const double *)b;
  return (one > other) - (one < other);
}

static void fail(const char *what) { fprintf(stderr, "load: %s\n", what); exit(1); }

static void ask(struct connection *c) {
  char request[2048];
  int length = snprintf(request, sizeof request,
                        "GET /%s?type=endCallback&reference=%020ld-1&state=2&error=0&duration=7 HTTP/1.1\r\n"
                        "Host: 127.0.0.1\r\nUser-Agent: load\r\nAccept: */*\r\n\r\n", path, next_reference++);
  unsent--;
  c->sent = now();
  if (write(c->fd, request, length) != length) fail("a request could not be sent");
}

/* 1 when an answer is whole; it is then taken out of the buffer. */
static int answered(struct connection *c) {
  char *end = memmem(c->in, c->used, "\r\n\r\n", 4);
  if (!end) return 0;
  long length = 0;
  for (char *line = c->in; line < end; line = (char *)memmem(line, end + 2 - line, "\r\n", 2) + 2)
    if (!strncasecmp(line, "content-length:", 15)) length = atol(line + 15);
  if (end + 4 + length > c->in + c->used) return 0;
  latencies[accepted + refused] = now() - c->sent;
  if (!strncmp(c->in, "HTTP/1.1 2", 10)) accepted++; else refused++;
  c->used = 0; /* nothing was asked meanwhile, so nothing follows */
  return 1;
}

int main(int count, char **arguments) {
  if (count != 6) { fprintf(stderr, "usage: load PORT PATH CONNECTIONS REQUESTS FIRST\n"); return 2; }
  signal(SIGPIPE, SIG_IGN);
  path = arguments[2];
  int connections = atoi(arguments[3]);
  long requests = unsent = atol(arguments[4]);
  next_reference = atol(arguments[5]);
  latencies = malloc(sizeof(double) * requests);
  struct connection *all = calloc(connections, sizeof *all);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int epoll_fd = epoll_create1(0), one = 1;
  for (int i = 0; i < connections; i++) {
    all[i].fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(all[i].fd, (struct sockaddr *)&address, sizeof address)) fail("nobody listens there");
    setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, all[i].fd, &event);
  }
  double started = now();
  for (int i = 0; i < connections && unsent; i++) ask(&all[i]);
  struct epoll_event events[512];
  while (accepted + refused < requests) {
    int ready = epoll_wait(epoll_fd, events, 512, 10000);
    if (ready <= 0) fail("no answer for ten seconds");
    for (int i = 0; i < ready; i++) {
      struct connection *c = events[i].data.ptr;
      ssize_t got = read(c->fd, c->in + c->used, BUFFER - c->used);
      if (got <= 0) fail("a connection was closed");
      c->used += got;
      if (answered(c) && unsent) ask(c);
    }
  }
  double seconds = now() - started;
  qsort(latencies, requests, sizeof(double), by_value);
  printf("{\"seconds\":%.4f,\"accepted\":%ld,\"refused\":%ld,\"p50_ms\":%.2f,\"p99_ms\":%.2f}\n", seconds, accepted,
         refused, latencies[requests / 2] * 1e3, latencies[requests * 99 / 100] * 1e3);
}
