// Preloaded into every process that a test starts: ends it when the test's own process is gone. A test run that
// is killed or times out would otherwise leave its servers running.

const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.exit(1);
}, 1000).unref();
