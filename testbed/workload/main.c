// workload does what its arguments say, step by step: the program inside the testbed's pods. See HELP for the steps.
#include "workload.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char HELP[] =
    "workload STEP...   does the steps in order; after the last one it waits for ever (so it goes on until killed).\n"
    "\n"
    "Output\n"
    "  say TEXT [every=1s] [times=N]       prints TEXT on stdout; every= without times= goes on in the background\n"
    "  complain TEXT [every=1s] [times=N]  the same on stderr\n"
    "Time and end\n"
    "  sleep DURATION\n"
    "  exit CODE                           exit child: with the code of the child that ended last (128+signal)\n"
    "  kill SIGNAL                         ends itself by a signal; SEGV, ILL and TRAP by a real fault\n"
    "  ignore SIGNAL                       TERM, INT, HUP ...; otherwise these end it with 128+signal\n"
    "  on-term CODE [after=DURATION]       how it ends on SIGTERM\n"
    "  require FILE|env:NAME [fail=CODE]   complains and exits (1) if it is not there\n"
    "Resources\n"
    "  memory KIND AMOUNT [rate=200Mi] [file=PATH]\n"
    "                                      takes AMOUNT at rate per second and keeps it; KIND: anon, shared, file (page\n"
    "                                      cache of PATH; in a tmpfs: its memory), pipe, huge\n"
    "                                      (pages of 2Mi), wave (up to AMOUNT and down again, for ever)\n"
    "  fill FILE AMOUNT [rate=200Mi]       writes a file of that size\n"
    "  burn [CORES] [for=DURATION]         processor time, in the background\n"
    "  descriptors N                       opens N files\n"
    "  beat FILE [every=1s]                writes the time into FILE again and again, in the background\n"
    "Network, all in the background\n"
    "  listen [ADDRESS:]PORT [RULE]... [default=CODE] [ready-after=D] [close-after=D] [rules=FILE] [quiet=1]\n"
    "                                      RULE: /PATH=CODE[@DELAY][,header=NAME: VALUE][,text=T][,file=F][,dir=D][,auth=BASE64]\n"
    "                                      * in PATH stands for anything; the longest matching pattern counts. No rules:\n"
    "                                      200 for all; otherwise 404, or default=, for the rest. Until ready-after=\n"
    "                                      the paths /ready... answer 503. rules= names a file of rules, one a line,\n"
    "                                      read anew for each request.\n"
    "  answer RULE...                      from now on; replaces the rule with the same path\n"
    "  close [PORT]                        stops listening\n"
    "  call http://HOST[:PORT][/PATH] [every=1s] [timeout=2s] [times=N] [fail=CODE]\n"
    "                                      one line for each request; with times= it waits for them; fail= exits with\n"
    "                                      CODE at the first one that is not answered with 2xx or 3xx\n"
    "  names ADDRESS:PORT HOSTSFILE...     a name server (in the foreground)\n"
    "Children\n"
    "  child [count=N] STEP... end         a child process does the steps and then exits 0 (unless it ended before);\n"
    "                                      the parent goes on at once, reaps, and prints how the child ended\n"
    "  wait                                until no child is left\n"
    "  hold                                waits for ever (for a child)\n"
    "\n"
    "DURATION: 200ms 3s 5m.  AMOUNT: 512Ki 64Mi 1Gi.  A TEXT that is itself the name of a step: say text=sleep.\n"
    "workload say hello listen 8080 /healthz=200 /slow=200@3s ready-after=10s\n"
    "workload child memory anon 300Mi hold end wait exit child\n";

static void run_steps(struct words all);

static void say(struct words w) {
  static char *verb[2];
  const char *text = option(w, "text");
  if (!text) {
    print_lines(w);
    return;
  }
  verb[0] = w.at[0];
  verb[1] = (char *)text;
  print_lines((struct words){2, verb});
}

static void sleep_step(struct words w) {
  const char *duration = plain(w, 0);
  if (!duration) fail("sleep DURATION");
  pause_ms(milliseconds(duration));
}

static void exit_step(struct words w) {
  const char *code = plain(w, 0);
  exit(code && !strcmp(code, "child") ? child_code() : code ? atoi(code) : 0);
}

static void wait_step(struct words w) {
  (void)w;
  children_wait();
}

static void hold_step(struct words w) {
  (void)w;
  for (;;) pause();
}

static const struct { const char *verb; void (*run)(struct words); } steps[] = {
    {"say", say},          {"complain", say},     {"sleep", sleep_step},   {"exit", exit_step},
    {"kill", kill_self},   {"ignore", ignore_signal}, {"on-term", on_term}, {"require", require},
    {"memory", take_memory}, {"fill", fill_file}, {"burn", burn},          {"descriptors", take_descriptors},
    {"beat", beat},        {"listen", serve},     {"answer", change_answer}, {"close", close_port},
    {"call", call},        {"names", answer_names}, {"wait", wait_step},   {"hold", hold_step},
    {"child", NULL},       {"end", NULL}};
enum { STEPS = sizeof steps / sizeof *steps };

static int step_of(const char *word) {
  for (int i = 0; i < STEPS; i++)
    if (!strcmp(word, steps[i].verb)) return i;
  return -1;
}

// The index of the "end" that belongs to the "child" at begin.
static int end_of(struct words all, int begin) {
  int depth = 0;
  for (int i = begin; i < all.count; i++) {
    if (!strcmp(all.at[i], "child")) depth++;
    if (!strcmp(all.at[i], "end") && --depth == 0) return i;
  }
  fail("child without end");
}

static void run_steps(struct words all) {
  for (int i = 0; i < all.count;) {
    int step = step_of(all.at[i]), next = i + 1;
    if (step < 0 || !strcmp(all.at[i], "end")) fail("\"%s\" is no step; workload --help lists them", all.at[i]);
    if (!strcmp(all.at[i], "child")) {
      int end = end_of(all, i);
      struct words inner = {end - i - 1, all.at + i + 1};
      int64_t count = 1;
      if (inner.count && !strncmp(inner.at[0], "count=", 6)) {
        count = atoi(inner.at[0] + 6);
        inner.count--;
        inner.at++;
      }
      children_begin((int)count, run_steps, inner);
      i = end + 1;
      continue;
    }
    while (next < all.count && step_of(all.at[next]) < 0) next++;
    // "exit child" is the one word that is also a step.
    if (!strcmp(all.at[i], "exit") && next < all.count && next == i + 1 && !strcmp(all.at[next], "child")) next++;
    steps[step].run((struct words){next - i, all.at + i});
    i = next;
  }
}

int main(int count, char **arguments) {
  if (count < 2 || !strcmp(arguments[1], "--help") || !strcmp(arguments[1], "help")) {
    fputs(HELP, count < 2 ? stderr : stdout);
    return count < 2 ? 2 : 0;
  }
  life_begin();
  run_steps((struct words){count - 1, arguments + 1});
  hold_step((struct words){0, NULL});
}
