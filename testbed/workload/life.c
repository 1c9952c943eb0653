// Signals, the program's end, and its children. All of TERM, INT and HUP are taken by one thread: as a container's first
// process the program would otherwise not even notice them (the kernel drops signals without a handler there).
#include "workload.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct { const char *name; int number; } names[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ILL", SIGILL},   {"TRAP", SIGTRAP}, {"ABRT", SIGABRT},
    {"BUS", SIGBUS},   {"FPE", SIGFPE},   {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE}, {"ALRM", SIGALRM}, {"TERM", SIGTERM}};

static volatile bool ignored[65];
static volatile int term_code = -1;
static volatile int64_t term_delay;

static int number_of(const char *text) {
  if (!strncasecmp(text, "SIG", 3)) text += 3;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcasecmp(text, names[i].name)) return names[i].number;
  int number = atoi(text);
  if (number < 1 || number > 64) fail("\"%s\" is no signal (TERM, KILL, SEGV, 9)", text);
  return number;
}

static const char *name_of(int number) {
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].number == number) return names[i].name;
  return "?";
}

static void *take_signals(void *set) {
  for (;;) {
    int number;
    if (sigwait(set, &number)) continue;
    if (ignored[number]) {
      line_out("ignores signal %s", name_of(number));
      continue;
    }
    line_out("ends on signal %s", name_of(number));
    pause_ms(term_delay);
    _exit(term_code >= 0 ? term_code : 128 + number);
  }
}

static void *reap(void *unused);

void life_begin(void) {
  static sigset_t set;
  signal(SIGPIPE, SIG_IGN);
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  in_background(take_signals, &set);
  in_background(reap, NULL);
}

void ignore_signal(struct words w) {
  const char *text = plain(w, 0);
  int number = number_of(text ? text : "TERM");
  ignored[number] = true;
  if (number != SIGTERM && number != SIGINT && number != SIGHUP) signal(number, SIG_IGN);
}

void on_term(struct words w) {
  const char *code = plain(w, 0);
  term_code = code ? atoi(code) : 0;
  term_delay = option_ms(w, "after", 0);
}

void kill_self(struct words w) {
  const char *text = plain(w, 0);
  int number = number_of(text ? text : "KILL");
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_UNBLOCK, &all, NULL);
  signal(number, SIG_DFL);
  // A real fault ends even a container's first process; kill(2) to itself does not.
  if (number == SIGSEGV) {
    int *volatile nowhere = NULL;
    *nowhere = 1;
  }
  if (number == SIGILL || number == SIGTRAP) __builtin_trap();
  kill(getpid(), number);
  pause_ms(20);
  // As first process we still live. This is the code a container runtime reports for such an end.
  _exit(128 + number);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int alive, last_code;

static void *reap(void *unused) {
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, 0);
    if (pid < 0) {
      pause_ms(50); // no child yet, or none left
      continue;
    }
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    int code = number ? 128 + number : WEXITSTATUS(status);
    if (number) line_out("child %d ended by signal %d", (int)pid, number);
    else line_out("child %d ended with code %d", (int)pid, code);
    pthread_mutex_lock(&lock);
    alive--;
    last_code = code;
    pthread_mutex_unlock(&lock);
  }
  return unused;
}

void children_begin(int count, void (*run)(struct words), struct words steps) {
  for (int i = 0; i < count; i++) {
    pthread_mutex_lock(&lock);
    alive++;
    pid_t pid = fork();
    if (pid == 0) {
      pthread_mutex_init(&lock, NULL);
      alive = 0;
      life_begin();
      run(steps);
      exit(0);
    }
    if (pid < 0) {
      alive--;
      line_err("fork: %s", strerror(errno));
    }
    pthread_mutex_unlock(&lock);
  }
}

void children_wait(void) {
  for (;;) {
    pthread_mutex_lock(&lock);
    int left = alive;
    pthread_mutex_unlock(&lock);
    if (left <= 0) return;
    pause_ms(20);
  }
}

int child_code(void) {
  pthread_mutex_lock(&lock);
  int code = last_code;
  pthread_mutex_unlock(&lock);
  return code;
}
