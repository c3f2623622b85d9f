// In every program of a build with -Db_sanitize=…: how it reports. It starts without environment, so that only this can tell
// it. tests/e2e/world.py makes the folder, and looks into it and into the manager's log after each test.
extern "C" {

// No leaks: a process that may not be traced cannot look for them. No symbols: that would start a program.
[[gnu::used]] const char *__asan_default_options();
[[gnu::used]] const char *__ubsan_default_options();

const char *__asan_default_options() {
  return "detect_leaks=0:symbolize=0:abort_on_error=1:log_path=/sanitizers/report";
}

const char *__ubsan_default_options() {
  return "halt_on_error=1:symbolize=0:abort_on_error=1:print_stacktrace=1:log_path=/sanitizers/report";
}

}
