/**
 * Subjects in processes of their own, as their users run them: in one process with another, a subject meets what that leaves
 * behind. Compilers have seen more shapes, the collector's limits have moved, and so have malloc's thresholds: `node:net`
 * receives twice as fast beside ours, which tunes those for itself (`src/api/node-net/chunks.ts`).
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { alternate, type Effort, medians, type Subject } from './harness.ts'
import { flags } from './processes.ts'

/** How to make each subject. A module that hands these to `alternateApart` exports them, as `SUBJECTS`. */
export type Subjects<Name extends string> = Readonly<Record<Name, () => Promise<Subject>>>

/** What goes to `subject-end.ts`, and comes back. */
export interface Order {
  readonly ms: number
}
export type Answer = { readonly value: number } | { readonly error: string }

/**
 * Lets the subjects take turns, each turn in a process of its own: how compilers go about it differs from one to the next, too.
 * Or all in this process, if the effort says so.
 * @param module the address of the module that exports them. @returns the median of each, under its name.
 */
export async function alternateApart<Name extends string>(
  module: string,
  subjects: Subjects<Name>,
  effort: Effort,
): Promise<Record<Name, number>> {
  const names = Object.keys(subjects) as Name[]
  if (effort.here === true) {
    const made: Partial<Record<Name, Subject>> = {}
    for (const name of names) made[name] = await subjects[name]()
    return alternate(made as Record<Name, Subject>, effort)
  }
  const values = names.map((name) => ({ name, values: [] as number[] }))
  for (let run = 0; run < effort.runs; run++) {
    for (const { name, values: those } of values) {
      const subject = apart(module, name)
      try {
        await subject.measure(effort.warmUp)
        those.push(await subject.measure(effort.ms))
      } finally {
        await subject.close()
      }
    }
  }
  return medians(values)
}

function apart(module: string, name: string): Subject {
  const child = fork(fileURLToPath(new URL('subject-end.ts', import.meta.url)), [module, name], { execArgv: flags() })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    measure: (ms) =>
      new Promise((resolve, reject) => {
        const ended = (code: number | null): void => reject(new Error(`${name} ended with ${code}`))
        child.once('exit', ended)
        child.once('message', (answer: Answer) => {
          child.off('exit', ended)
          if ('error' in answer) reject(new Error(`${name}: ${answer.error}`))
          else resolve(answer.value)
        })
        child.send({ ms } satisfies Order)
      }),
    async close() {
      if (child.connected) child.disconnect()
      await gone
    },
  }
}
