// HTTP answers by rule. A rule is PATTERN=CODE[@DELAY][,header=NAME:VALUE][,file=PATH][,dir=PATH][,text=TEXT][,auth=BASE64];
// of the patterns that match, the longest counts, then the later one. No rule at all: 200 for everything.
#include "workload.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum { MOST_PORTS = 16, MOST_RULES = 64, LINE = 8192 };

struct port {
  int fd, number, fallback;
  const char *rules_file;
  int64_t ready_at, close_at;
  bool quiet;
};
static struct port ports[MOST_PORTS];
static int port_count;
static char *rules[MOST_RULES];
static int rule_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct connection { int fd; const struct port *port; };

static const char *reason(int code) {
  switch (code) {
  case 200: return "OK";
  case 204: return "No Content";
  case 301: return "Moved Permanently";
  case 302: return "Found";
  case 400: return "Bad Request";
  case 401: return "Unauthorized";
  case 403: return "Forbidden";
  case 404: return "Not Found";
  case 429: return "Too Many Requests";
  case 500: return "Internal Server Error";
  case 502: return "Bad Gateway";
  case 503: return "Service Unavailable";
  case 504: return "Gateway Timeout";
  default: return "Answer";
  }
}

// Keeps the better of best and text for path; both have the pattern before the first "=".
static void consider(char *best, const char *text, const char *path) {
  char pattern[LINE];
  size_t length = strcspn(text, "=");
  if (text[0] != '/' || !text[length] || length >= sizeof pattern || strlen(text) >= LINE) return;
  memcpy(pattern, text, length);
  pattern[length] = 0;
  if (!fnmatch(pattern, path, 0) && (!*best || length >= strcspn(best, "="))) strcpy(best, text);
}

static void find_rule(const struct port *port, const char *path, char *best) {
  *best = 0;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < rule_count; i++) consider(best, rules[i], path);
  pthread_mutex_unlock(&lock);
  FILE *f = port->rules_file ? fopen(port->rules_file, "r") : NULL; // anew each time: the file may change meanwhile
  if (!f) return;
  char text[LINE];
  while (fgets(text, sizeof text, f)) {
    text[strcspn(text, "\n")] = 0;
    consider(best, text, path);
  }
  fclose(f);
}

static void send_all(int fd, const char *data, size_t length) {
  while (length > 0) {
    ssize_t n = write(fd, data, length);
    if (n <= 0) return;
    data += n;
    length -= (size_t)n;
  }
}

static const char *header(const char *request, const char *name) {
  for (const char *line = strstr(request, "\r\n"); line; line = strstr(line + 2, "\r\n"))
    if (!strncasecmp(line + 2, name, strlen(name)) && line[2 + strlen(name)] == ':')
      return line + 3 + strlen(name) + strspn(line + 3 + strlen(name), " ");
  return NULL;
}

static void answer(const struct connection *c, const char *request, const char *method, const char *path) {
  char rule[LINE], extra[LINE] = "", text[LINE], file[LINE] = "";
  find_rule(c->port, path, rule);
  int code = c->port->fallback ? c->port->fallback : rule_count || c->port->rules_file ? 404 : 200;
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  *text = 0;
  if (*rule) {
    char *save, *part = strtok_r(rule + strcspn(rule, "=") + 1, ",", &save);
    char *at = part ? strchr(part, '@') : NULL;
    code = part ? atoi(part) : 200;
    if (at) pause_ms(milliseconds(at + 1));
    while ((part = strtok_r(NULL, ",", &save))) {
      size_t used = strlen(extra);
      if (!strncmp(part, "header=", 7)) snprintf(extra + used, sizeof extra - used, "%s\r\n", part + 7);
      else if (!strncmp(part, "file=", 5)) snprintf(file, sizeof file, "%s", part + 5);
      else if (!strncmp(part, "dir=", 4)) snprintf(file, sizeof file, "%s/%s", part + 4, strrchr(path, '/') + 1);
      else if (!strncmp(part, "text=", 5)) snprintf(text, sizeof text, "%s", part + 5);
      else if (!strncmp(part, "auth=", 5)) {
        const char *sent = header(request, "Authorization");
        size_t length = strlen(part + 5);
        if (sent && !strncasecmp(sent, "Basic ", 6) && !strncmp(sent + 6, part + 5, length) && sent[6 + length] == '\r') continue;
        code = 401;
        *file = 0;
        snprintf(extra, sizeof extra, "WWW-Authenticate: Basic realm=\"testbed\"\r\n");
        break;
      }
    }
  }
  if (now_ms() < c->port->ready_at && !strncmp(path, "/ready", 6)) code = 503;
  struct stat status;
  int body = *file ? open(file, O_RDONLY) : -1;
  if (*file && (body < 0 || fstat(body, &status) || !S_ISREG(status.st_mode))) code = 404;
  bool from_file = body >= 0 && code < 400;
  if (!*text) snprintf(text, sizeof text, "%d %s from %s", code, reason(code), host);
  size_t length = from_file ? (size_t)status.st_size : code == 204 ? 0 : strlen(text) + 1;
  char head[LINE + 256];
  int n = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\n%s%sContent-Length: %zu\r\nConnection: close\r\n\r\n", code, reason(code),
                   extra, strcasestr(extra, "content-type:") ? "" : "Content-Type: text/plain\r\n", length);
  send_all(c->fd, head, (size_t)n);
  if (strcmp(method, "HEAD") != 0) {
    if (from_file)
      for (off_t done = 0; done < status.st_size;)
        if (sendfile(c->fd, body, &done, (size_t)(status.st_size - done)) <= 0) break;
    if (!from_file && length) {
      send_all(c->fd, text, strlen(text));
      send_all(c->fd, "\n", 1);
    }
  }
  if (body >= 0) close(body);
  if (!c->port->quiet) line_out("answered %s %s with %d", method, path, code);
}

static void *converse(void *argument) {
  struct connection *c = argument;
  char request[LINE], method[16], path[4096];
  size_t have = 0;
  struct timeval limit = {10, 0};
  setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  while (have < sizeof request - 1) {
    ssize_t n = read(c->fd, request + have, sizeof request - 1 - have);
    if (n <= 0) break;
    have += (size_t)n;
    request[have] = 0;
    if (!strstr(request, "\r\n\r\n")) continue;
    if (sscanf(request, "%15s %4095s", method, path) == 2 && *path == '/') {
      path[strcspn(path, "?")] = 0;
      answer(c, request, method, path);
    }
    break;
  }
  shutdown(c->fd, SHUT_WR);
  close(c->fd);
  free(c);
  return NULL;
}

static void *accept_loop(void *argument) {
  struct port *port = argument;
  for (;;) {
    int fd = accept4(port->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
      struct connection *c = malloc(sizeof *c);
      *c = (struct connection){fd, port};
      in_background(converse, c);
    } else if (errno == EBADF || errno == EINVAL) {
      return NULL; // closed meanwhile
    } else {
      pause_ms(10);
    }
  }
}

static void stop_listening(struct port *port) {
  if (port->fd < 0) return;
  shutdown(port->fd, SHUT_RDWR);
  close(port->fd);
  port->fd = -1;
  line_out("closed port %d", port->number);
}

static void *close_later(void *argument) {
  struct port *port = argument;
  pause_ms(port->close_at - now_ms());
  stop_listening(port);
  return NULL;
}

static void add_rule(const char *text) {
  pthread_mutex_lock(&lock);
  // The same pattern again replaces the rule.
  size_t length = strcspn(text, "=") + 1;
  int i = 0;
  while (i < rule_count && strncmp(rules[i], text, length) != 0) i++;
  if (i == MOST_RULES) fail("listen: at most %d rules; more by rules=FILE", MOST_RULES);
  if (i == rule_count) rule_count++;
  rules[i] = strdup(text);
  pthread_mutex_unlock(&lock);
}

static void add_rules(struct words w) {
  const char *rule;
  for (int i = 0; (rule = plain(w, i)); i++) {
    if (rule[0] != '/') continue;
    if (!strchr(rule, '=')) fail("%s: a rule is /PATH=CODE", rule);
    add_rule(rule);
  }
}

void serve(struct words w) {
  const char *where = plain(w, 0);
  if (!where || port_count == MOST_PORTS) fail("listen [ADDRESS:]PORT [/PATH=CODE[@DELAY]]...");
  const char *colon = strrchr(where, ':');
  struct sockaddr_in address = {.sin_family = AF_INET};
  char host[64] = "0.0.0.0";
  if (colon && colon - where < (long)sizeof host) snprintf(host, sizeof host, "%.*s", (int)(colon - where), where);
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) fail("listen: %s is no address", host);
  struct port *port = &ports[port_count++];
  port->number = atoi(colon ? colon + 1 : where);
  address.sin_port = htons((uint16_t)port->number);
  add_rules(w);
  port->rules_file = option(w, "rules");
  port->fallback = (int)option_number(w, "default", 0);
  port->quiet = option(w, "quiet") != NULL;
  port->ready_at = now_ms() + option_ms(w, "ready-after", 0);
  int64_t closing = option_ms(w, "close-after", 0), on = 1;
  port->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(port->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(int));
  if (port->fd < 0 || bind(port->fd, (struct sockaddr *)&address, sizeof address) || listen(port->fd, 64)) {
    line_err("listen tcp %s:%d: bind: %s", host, port->number, strerror(errno));
    exit(1);
  }
  line_out("listens on %s:%d", host, port->number);
  in_background(accept_loop, port);
  if (closing) {
    port->close_at = now_ms() + closing;
    in_background(close_later, port);
  }
}

void change_answer(struct words w) { add_rules(w); }

void close_port(struct words w) {
  const char *number = plain(w, 0);
  for (int i = 0; i < port_count; i++)
    if (!number || ports[i].number == atoi(number)) stop_listening(&ports[i]);
}
