/** Prints every breach of the architecture's rules; test/architecture.test.ts shows that the rules catch them. */
import { faults } from '../test/architecture/files.ts'
import { withTree } from '../test/architecture/project.ts'

const found = withTree((sources) => sources.flatMap(faults))
for (const fault of found) console.error(fault)
if (found.length > 0) process.exitCode = 1
