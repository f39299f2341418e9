/* The provider of the benchmarks: it answers every POST with {"status":"ok"}, after a delay if asked to, and calls
 * back with Mitto's endCallback. One thread, epoll, no allocation per request: it must cost next to nothing.
 *
 * usage: provider PORT [--delay MS] [--callback PORT PATH] [--log FILE]
 *
 * --delay     milliseconds between the end of a request and its answer
 * --callback  GET http://127.0.0.1:PORT/PATH?type=endCallback&reference=…&state=2&error=0&duration=7 for each POST
 * --log       append "seconds reference" for each POST, the moment at which its first byte came
 *
 * GET /stats answers {"accepted":N,"called_back":N,"failed_callbacks":N,"waiting_callbacks":N}.
 * POST /callback?PORT/PATH changes where callbacks go (PORT 0: nowhere).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 65536, BUFFER = 16384, CALLERS = 64, REFERENCE = 64, QUEUE = 1 << 21 };

struct connection {
  int used;         /* bytes in `in` */
  int caller;       /* 1 + index of the caller that this connection is, or 0 */
  double began;     /* when the first byte of the request in `in` came */
  char in[BUFFER];
};
struct answer { double due; int fd; unsigned generation; };
struct reference { char text[REFERENCE]; };

static struct connection *connections[MAX_FD];
static unsigned generations[MAX_FD];
static struct answer *answers;            /* ring: the delay is the same for all, so it stays in order */
static uint64_t answers_head, answers_tail;
static struct reference *references;      /* ring of callbacks to be made */
static uint64_t references_head, references_tail;
static int caller_fd[CALLERS], caller_busy[CALLERS];
static struct reference caller_reference[CALLERS];
static int epoll_fd, callback_port;
static char callback_path[1024];
static double delay;
static FILE *log_file;
static uint64_t accepted, called_back, failed_callbacks;

static const char OK[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}";

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void watch(int fd, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  epoll_ctl(epoll_fd, operation, fd, &event);
}

static void open_connection(int fd, int caller) {
  if (fd >= MAX_FD) { close(fd); return; }
  if (!connections[fd]) connections[fd] = malloc(sizeof(struct connection));
  connections[fd]->used = 0;
  connections[fd]->caller = caller;
  generations[fd]++;
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  watch(fd, EPOLL_CTL_ADD, EPOLLIN);
}

static void close_connection(int fd) {
  int caller = connections[fd]->caller;
  generations[fd]++;
  close(fd);
  if (caller) {
    caller_fd[caller - 1] = -1;
    if (caller_busy[caller - 1]) { caller_busy[caller - 1] = 0; failed_callbacks++; }
  }
}

static void reply(int fd, const char *text, size_t length) {
  if (write(fd, text, length) != (ssize_t)length) close_connection(fd);
}

static void call_back(void) {
  for (int i = 0; i < CALLERS && references_head < references_tail && callback_port; i++) {
    if (caller_busy[i]) continue;
    if (caller_fd[i] < 0) {
      struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(callback_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
      int fd = socket(AF_INET, SOCK_STREAM, 0);
      if (connect(fd, (struct sockaddr *)&address, sizeof address)) { close(fd); return; }
      open_connection(fd, i + 1);
      caller_fd[i] = fd;
    }
    caller_reference[i] = references[references_head++ % QUEUE];
    char request[2048];
    int length = snprintf(request, sizeof request,
                          "GET /%s?type=endCallback&reference=%s&state=2&error=0&duration=7 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                          callback_path, caller_reference[i].text);
    caller_busy[i] = 1;
    reply(caller_fd[i], request, length);
  }
}

static int is_whole(struct connection *c, char **body, int *length) {
  char *end = memmem(c->in, c->used, "\r\n\r\n", 4);
  if (!end) return 0;
  *body = end + 4;
  *length = 0;
  for (char *line = c->in; line < end; line = (char *)memmem(line, end + 2 - line, "\r\n", 2) + 2)
    if (!strncasecmp(line, "content-length:", 15)) *length = atoi(line + 15);
  return *body + *length <= c->in + c->used;
}

static void take(int fd, struct connection *c, char *body, int length) {
  char text[512];
  if (!strncmp(c->in, "GET /stats", 10)) {
    char json[256];
    int size = snprintf(json, sizeof json, "{\"accepted\":%lu,\"called_back\":%lu,\"failed_callbacks\":%lu,\"waiting_callbacks\":%lu}",
                        accepted, called_back, failed_callbacks, references_tail - references_head);
    int all = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", size, json);
    reply(fd, text, all);
    return;
  }
  if (!strncmp(c->in, "POST /callback?", 15)) {
    callback_port = atoi(c->in + 15);
    char *path = memchr(c->in + 15, '/', 10), *end = path ? memchr(path, ' ', 1000) : NULL;
    if (path && end) { memcpy(callback_path, path + 1, end - path - 1); callback_path[end - path - 1] = 0; }
    for (int i = 0; i < CALLERS; i++) if (caller_fd[i] >= 0) { caller_busy[i] = 0; close_connection(caller_fd[i]); }
    references_head = references_tail;
    reply(fd, OK, sizeof OK - 1);
    return;
  }
  accepted++;
  char *key = memmem(body, length, "\"reference\"", 11), *start = NULL, *end = NULL;
  if (key) start = memchr(key + 11, '"', body + length - key - 11);
  if (start) end = memchr(start + 1, '"', body + length - start - 1);
  if (end && end - start - 1 < REFERENCE) {
    struct reference *one = &references[references_tail % QUEUE];
    memcpy(one->text, start + 1, end - start - 1);
    one->text[end - start - 1] = 0;
    if (log_file) fprintf(log_file, "%.6f %s\n", c->began, one->text);
    if (callback_port) references_tail++;
  }
  if (delay > 0) answers[answers_tail++ % QUEUE] = (struct answer){now() + delay, fd, generations[fd]};
  else reply(fd, OK, sizeof OK - 1);
}

static void read_some(int fd) {
  struct connection *c = connections[fd];
  ssize_t got = read(fd, c->in + c->used, BUFFER - c->used);
  if (got <= 0) {
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    close_connection(fd);
    return;
  }
  if (log_file && !c->used) c->began = now();
  c->used += got;
  char *body;
  int length;
  unsigned generation = generations[fd];
  while (generation == generations[fd] && is_whole(c, &body, &length)) {
    if (c->caller) {
      if (!strncmp(c->in, "HTTP/1.1 2", 10)) called_back++; else failed_callbacks++;
      caller_busy[c->caller - 1] = 0;
    } else {
      take(fd, c, body, length);
    }
    if (generation != generations[fd]) return;
    int whole = body + length - c->in;
    memmove(c->in, c->in + whole, c->used - whole);
    c->used -= whole;
  }
  if (c->used == BUFFER) close_connection(fd);
}

int main(int count, char **arguments) {
  if (count < 2) { fprintf(stderr, "usage: provider PORT [--delay MS] [--callback PORT PATH] [--log FILE]\n"); return 2; }
  for (int i = 2; i < count; i++) {
    if (!strcmp(arguments[i], "--delay") && i + 1 < count) delay = atof(arguments[++i]) / 1e3;
    else if (!strcmp(arguments[i], "--log") && i + 1 < count) log_file = fopen(arguments[++i], "a");
    else if (!strcmp(arguments[i], "--callback") && i + 2 < count) {
      callback_port = atoi(arguments[++i]);
      snprintf(callback_path, sizeof callback_path, "%s", arguments[++i]);
    } else { fprintf(stderr, "provider: unknown option %s\n", arguments[i]); return 2; }
  }
  signal(SIGPIPE, SIG_IGN);
  answers = malloc(sizeof(struct answer) * QUEUE);
  references = malloc(sizeof(struct reference) * QUEUE);
  for (int i = 0; i < CALLERS; i++) caller_fd[i] = -1;
  epoll_fd = epoll_create1(0);
  int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) { perror("provider"); return 1; }
  fcntl(listener, F_SETFL, O_NONBLOCK);
  watch(listener, EPOLL_CTL_ADD, EPOLLIN);
  struct epoll_event events[512];
  double flushed = now();
  for (;;) {
    int wait = 1000;
    if (answers_head < answers_tail) {
      double left = answers[answers_head % QUEUE].due - now();
      wait = left <= 0 ? 0 : (int)(left * 1e3) + 1;
    } else if (references_head < references_tail) wait = 20; /* the receiver may be back */
    int ready = epoll_wait(epoll_fd, events, 512, wait);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) for (int next; (next = accept(listener, NULL, NULL)) >= 0;) open_connection(next, 0);
      else read_some(fd);
    }
    double moment = now();
    while (answers_head < answers_tail && answers[answers_head % QUEUE].due <= moment) {
      struct answer *a = &answers[answers_head++ % QUEUE];
      if (generations[a->fd] == a->generation) reply(a->fd, OK, sizeof OK - 1);
    }
    call_back();
    if (log_file && moment - flushed > 0.2) { fflush(log_file); flushed = moment; }
  }
}
