/** Properties (fast-check) as assertions of tap: one line each, with the shrunk counterexample when it fails. */
import fc from 'fast-check'
import type t from 'tap'

/**
 * Asserts that a property holds. Inside, use `node:assert`: what throws there is a counterexample, and is shrunk.
 * @param parameters of fast-check: `numRuns`, `seed` and `path` to repeat a failure, …
 */
export function holds<Values>(
  test: Pick<typeof t, 'pass' | 'fail'>,
  name: string,
  property: fc.IProperty<Values>,
  parameters: fc.Parameters<Values> = {},
): void {
  const details = fc.check(property, parameters)
  if (details.failed) test.fail(`${name}: ${details.errorInstance}\n${fc.defaultReportMessage(details)}`)
  else test.pass(name)
}
