/** Snippets of Python: as much as assertions need. */
import t from 'tap'
import { runSnippet } from './python/run.ts'
import type { PythonValue, Scope } from './python/values.ts'

class Names implements Scope {
  readonly values = new Map<string, PythonValue>([
    ['cwnd', 10],
    ['state', 3],
  ])
  readonly printed: string[] = []

  lookup(name: string): PythonValue {
    const value = this.values.get(name)
    if (value === undefined) throw new Error(`no ${name}`)
    return value
  }

  assign(name: string, value: PythonValue): void {
    this.values.set(name, value)
  }

  print(text: string): void {
    this.printed.push(text)
  }
}

const run = (text: string, scope: Scope = new Names()): void => runSnippet(text, 7, scope)

t.test('what holds', async (t) => {
  for (const text of [
    'cwnd == 10',
    'cwnd == 10, cwnd',
    'cwnd == 10 and not state == 4 or missing',
    'cwnd != 10 and missing or True',
    '5 < cwnd <= 10',
    'not 5 < cwnd < 10',
    'cwnd in (9, 10)',
    'cwnd not in [9, 11]',
    '"b" in "abc"',
    '2 + 3 * 4 == 14 and (2 + 3) * 4 == 20',
    '7 // 2 == 3 and -7 // 2 == -4 and -7 % 3 == 2 and 7 / 2 == 3.5',
    '2 ** 3 ** 2 == 512 and -2 ** 2 == -4',
    '(cwnd & 2) != 0 and cwnd | 1 == 11 and cwnd ^ 1 == 11 and 1 << 4 == 16 and ~0 == -1',
    'abs(-3) == 3 and min(4, 2) == 2 and max([4, 2]) == 4 and len((1, 2)) == 2 and int(2.9) == 2',
    '0x10 == 16 and 1e3 == 1000 and .5 == 0.5',
    "'%d of %s' % (3, 'x') == '3 of x'",
    '(1 if cwnd > 5 else 2) == 1',
    'None is None and cwnd is not None',
  ]) {
    run(`assert ${text}`)
  }
  t.pass('all of them')
})

t.test('what does not hold says what, and where', async (t) => {
  t.throws(() => run('assert cwnd == 11, cwnd'), {
    line: 7,
    message: 'assertion failed: cwnd == 11 (10), where cwnd = 10',
  })
  t.throws(() => run("assert cwnd == 11, 'cwnd=%d' % cwnd"), { message: /\(cwnd=10\)/ })
  t.throws(() => run('assert cwnd < 5 < 20'), { message: 'assertion failed: cwnd < 5 < 20' })
  t.throws(() => run('assert cwnd == 10; assert state == 4'), { message: /state == 4/ })
})

t.test('division by zero is no number', async (t) => {
  for (const operator of ['/', '//', '%']) {
    t.throws(() => run(`assert cwnd ${operator} 0 != 1`), { line: 7, message: 'division by zero in a snippet of code' })
    run(`assert cwnd == 10 or cwnd ${operator} missing`)
  }
})

t.test('several statements, comments and lasting names', async (t) => {
  const names = new Names()
  run('\n# a comment\nx = cwnd  # ten\nx += 5\nassert (x ==\n  15)\nprint(x, "done"); pass\n', names)
  t.equal(names.values.get('x'), 15)
  t.strictSame(names.printed, ['15 done'])
  run('assert x == 15', names)
})

t.test('what is beyond it', async (t) => {
  for (const text of ['import os', 'if cwnd: pass', 'for x in (1,): pass', 'assert open("x")']) {
    t.throws(() => run(text), { message: /^unsupported: / }, text)
  }
  for (const text of ['assert cwnd ==', 'assert (cwnd', 'assert 1 2', 'cwnd $ 1', 'x = ']) {
    t.throws(() => run(text), { line: 7, message: /^syntax: / }, text)
  }
})
