// Imported by the processes that run the suites: each ends when the one that has started it is gone, so that a run which is
// killed leaves nothing behind.

const LOOK_EVERY_MS = 1000;
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.exit(1);
}, LOOK_EVERY_MS).unref();
