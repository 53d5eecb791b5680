/**
 * `node --import=./scripts/tap-children.mjs`: a test whose children are nobody's but its own. tap has every process below a
 * test list the modules it loads, for coverage, which trebles the time that a command takes to start. What they print is
 * compared, whatever a host of continuous integration wants of colours.
 */
delete process.env.NODE_OPTIONS
delete process.env.FORCE_COLOR
