// A name server of the smallest kind, for the testbed itself: A records from files in the form of /etc/hosts, read anew
// for each question; every other name does not exist (NXDOMAIN). UDP only.
#include "workload.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { MOST_ADDRESSES = 16 };

// The addresses of name in one file; counts on from found. The last line of a name that says "-" forgets those before.
static int look_up(const char *file, const char *name, struct in_addr *to, int found, bool *known) {
  FILE *f = fopen(file, "r");
  char text[4096];
  while (f && fgets(text, sizeof text, f)) {
    char *save, *address = strtok_r(text, " \t\n", &save), *alias;
    if (!address || *address == '#') continue;
    while ((alias = strtok_r(NULL, " \t\n", &save))) {
      if (strcasecmp(alias, name) != 0) continue;
      if (!strcmp(address, "-")) found = 0, *known = false;
      else if (found < MOST_ADDRESSES && inet_pton(AF_INET, address, &to[found]) == 1) found++, *known = true;
      break;
    }
  }
  if (f) fclose(f);
  return found;
}

static size_t reply(struct words w, unsigned char *m, size_t length, size_t room) {
  char name[256] = "";
  size_t at = 12, used = 0;
  if (length < 17 || m[2] & 0x80 || m[4] || m[5] != 1) return 0;
  while (at < length && m[at]) {
    size_t label = m[at];
    if (label > 63 || at + label + 5 >= length || used + label + 2 > sizeof name) return 0;
    if (used) name[used++] = '.';
    memcpy(name + used, m + at + 1, label);
    used += label;
    at += label + 1;
  }
  name[used] = 0;
  if (at + 5 > length) return 0;
  int type = m[at + 1] << 8 | m[at + 2], found = 0;
  at += 5;
  struct in_addr to[MOST_ADDRESSES];
  bool known = false;
  const char *file;
  for (int i = 1; (file = plain(w, i)); i++) found = look_up(file, name, to, found, &known);
  if (type != 1) found = 0; // a name without records of the asked type does exist
  m[2] = 0x84 | (m[2] & 1); // an answer, with authority
  m[3] = 0x80 | (known ? 0 : 3);
  memset(m + 6, 0, 6);
  m[7] = (unsigned char)found;
  for (int i = 0; i < found && at + 16 <= room; i++, at += 16) {
    static const unsigned char record[12] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4};
    memcpy(m + at, record, sizeof record);
    memcpy(m + at + 12, &to[i], 4);
  }
  return at;
}

void answer_names(struct words w) {
  const char *where = plain(w, 0), *colon = where ? strrchr(where, ':') : NULL;
  struct sockaddr_in own = {.sin_family = AF_INET}, from;
  char host[64];
  if (!colon) fail("names ADDRESS:PORT FILE...");
  snprintf(host, sizeof host, "%.*s", (int)(colon - where), where);
  own.sin_port = htons((uint16_t)atoi(colon + 1));
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (inet_pton(AF_INET, host, &own.sin_addr) != 1 || bind(fd, (struct sockaddr *)&own, sizeof own))
    fail("listen udp %s: bind: %s", where, strerror(errno));
  for (;;) {
    unsigned char message[1500];
    socklen_t size = sizeof from;
    ssize_t n = recvfrom(fd, message, sizeof message, 0, (struct sockaddr *)&from, &size);
    if (n <= 0) continue;
    size_t length = reply(w, message, (size_t)n, 512);
    if (length) sendto(fd, message, length, 0, (struct sockaddr *)&from, size);
  }
}
