// HTTP requests in a loop, each told in one line: what a program says when what it needs is not there.
#include "workload.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct target {
  const char *url;
  char host[256], port[8], path[2048];
  int64_t every, timeout, times;
  int failure;
};

static bool ready(int fd, short events, int64_t end) {
  struct pollfd p = {fd, events, 0};
  int64_t left = end - now_ms();
  return left > 0 && poll(&p, 1, (int)left) > 0;
}

// The status of one request, or 0 with the reason in why.
static int request(const struct target *t, int fd, const struct addrinfo *to, char *why, size_t room) {
  int64_t end = now_ms() + t->timeout;
  int error = 0;
  socklen_t size = sizeof error;
  if (connect(fd, to->ai_addr, to->ai_addrlen)) {
    if (errno != EINPROGRESS) error = errno;
    else if (!ready(fd, POLLOUT, end)) error = ETIMEDOUT;
    else getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error) {
    snprintf(why, room, "connect: %s",
             error == ETIMEDOUT      ? "timed out"
             : error == ECONNREFUSED ? "connection refused"
             : error == EHOSTUNREACH ? "no route to host"
                                     : strerror(error));
    return 0;
  }
  char text[4096];
  int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: workload\r\nConnection: close\r\n\r\n", t->path,
                   t->host, t->port);
  if (write(fd, text, (size_t)n) != n) {
    snprintf(why, room, "write: %s", strerror(errno));
    return 0;
  }
  if (!ready(fd, POLLIN, end)) {
    snprintf(why, room, "no answer within %lld ms", (long long)t->timeout);
    return 0;
  }
  ssize_t got = read(fd, text, sizeof text - 1);
  int status = 0;
  if (got > 0) text[got] = 0;
  if (got < 0) snprintf(why, room, "read: %s", strerror(errno));
  else if (got == 0) snprintf(why, room, "read: connection closed without an answer");
  else if (sscanf(text, "HTTP/%*s %d", &status) != 1) snprintf(why, room, "the answer is not HTTP");
  return status;
}

static bool once(const struct target *t) {
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *to;
  char why[512] = "";
  int64_t begin = now_ms();
  int error = getaddrinfo(t->host, t->port, &hints, &to), status = 0;
  if (error) {
    snprintf(why, sizeof why, "lookup %s: %s", t->host,
             error == EAI_NONAME  ? "no such host"
             : error == EAI_AGAIN ? "name server does not answer"
                                  : gai_strerror(error));
  } else {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      snprintf(why, sizeof why, "socket: %s", strerror(errno));
    } else {
      status = request(t, fd, to, why, sizeof why);
      close(fd);
    }
    freeaddrinfo(to);
  }
  if (status) line_out("call %s: %d in %lld ms", t->url, status, (long long)(now_ms() - begin));
  else line_err("call %s: %s", t->url, why);
  return status >= 200 && status < 400;
}

static void *loop(void *argument) {
  struct target *t = argument;
  for (int64_t i = 0; !t->times || i < t->times; i++) {
    if (i) pause_ms(t->every);
    if (!once(t) && t->failure >= 0) _exit(t->failure);
  }
  return NULL;
}

void call(struct words w) {
  struct target *t = calloc(1, sizeof *t);
  t->url = plain(w, 0);
  if (!t->url || strncmp(t->url, "http://", 7) != 0) fail("call http://HOST[:PORT][/PATH] [every=] [timeout=] [times=] [fail=CODE]");
  const char *host = t->url + 7, *slash = strchr(host, '/');
  size_t length = slash ? (size_t)(slash - host) : strlen(host), name = length;
  for (size_t i = 0; i < length; i++)
    if (host[i] == ':') name = i;
  snprintf(t->host, sizeof t->host, "%.*s", (int)name, host);
  snprintf(t->port, sizeof t->port, "%.*s", name < length ? (int)(length - name - 1) : 2, name < length ? host + name + 1 : "80");
  snprintf(t->path, sizeof t->path, "%s", slash ? slash : "/");
  t->every = option_ms(w, "every", 1000);
  t->timeout = option_ms(w, "timeout", 2000);
  t->times = option_number(w, "times", 0);
  t->failure = (int)option_number(w, "fail", -1);
  if (t->times) loop(t);
  else in_background(loop, t);
}
