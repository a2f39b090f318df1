"""Give a process another clock, with a library that is loaded before libc."""

import subprocess
from pathlib import Path

SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *t) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(id, t);
  const char *shift = getenv("CLOCK_SHIFT");
  if (shift && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += atol(shift);
  return result;
}
int gettimeofday(struct timeval *t, void *zone) {
  struct timespec now;
  int result = clock_gettime(CLOCK_REALTIME, &now);
  t->tv_sec = now.tv_sec;
  t->tv_usec = now.tv_nsec / 1000;
  return result;
}
time_t time(time_t *t) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (t) *t = now.tv_sec;
  return now.tv_sec;
}
"""


def shifted_clock(folder: Path, seconds: int) -> dict[str, str]:
    """Return variables for a process whose clock is ``seconds`` ahead; they need a C compiler."""
    library = folder / "clock.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), "-ldl"]
        subprocess.run(command, input=SOURCE, text=True, check=True, capture_output=True)
    return {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(seconds)}
