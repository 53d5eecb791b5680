/** A subject in this process: `subject-end.ts MODULE NAME`, started by `apart.ts`, measures whenever it is told to. */
import type { Answer, Order, Subjects } from './apart.ts'

const [module = '', name = ''] = process.argv.slice(2)
const { SUBJECTS } = (await import(module)) as { SUBJECTS: Subjects<string> }
const make = SUBJECTS[name]
if (make === undefined) throw new Error(`${module} has no subject called ${name}`)
const subject = await make()

process.on('message', async ({ ms }: Order) => {
  let answer: Answer
  try {
    answer = { value: await subject.measure(ms) }
  } catch (error) {
    answer = { error: String(error) }
  }
  process.send?.(answer)
})
// Whoever started it is done, or gone.
process.once('disconnect', () => process.exit(0))
