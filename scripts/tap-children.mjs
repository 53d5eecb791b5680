/**
 * `node --import=./scripts/tap-children.mjs`: a test whose children are nobody's but its own. tap has every process below a
 * test list the modules it loads, for coverage, which trebles the time that a command takes to start. What they print is
 * compared, whatever a host of continuous integration wants of colours; and their sockets stand in the temporary folder,
 * whose name may take half of the 107 octets that there are for the path of one.
 */
import { tmpdir } from 'node:os'

delete process.env.NODE_OPTIONS
delete process.env.FORCE_COLOR
if (tmpdir().length > 50) process.env.TMPDIR = '/tmp'
