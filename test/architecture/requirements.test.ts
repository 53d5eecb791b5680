/** The table of RFC 9293's requirements in docs/tcp.md: each is in it once, and each test that it names exists. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root } from './project.ts'

/** How many requirements of each kind the RFC numbers. */
const KINDS = { MUST: 69, SHLD: 31, MAY: 18 } as const
/** Where tests are that are named without a folder. */
const FOLDER = 'test/layers/transport/tcp'

interface Row {
  readonly id: string
  readonly held: string
  readonly tests: readonly { readonly file: string; readonly name: string }[]
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const [, section = ''] = /^## RFC 9293, .*?\n([\s\S]*?)(?=^## |$(?![\s\S]))/m.exec(read('docs/tcp.md')) ?? []
const [table = '', departures = ''] = section.split(/^### .*$/m)

const rows: Row[] = [...table.matchAll(/^\| ((?:MUST|SHLD)-\d+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$/gm)].map(
  ([, id = '', held = '', shown = '']) => ({
    id,
    held,
    tests: [...shown.matchAll(/`([^`]+)` "([^"]+)"/g)].map(([, file = '', name = '']) => ({
      file: file.includes('/') ? file : `${FOLDER}/${file}`,
      name,
    })),
  }),
)

/** 'MUST-1', 'MUST-2', … */
const numbered = (kind: keyof typeof KINDS): string[] =>
  Array.from({ length: KINDS[kind] }, (_, i) => `${kind}-${i + 1}`)

/** Names of the tests of a file: what stands in front of an async function. */
function testsOf(text: string): string[] {
  return [...text.matchAll(/\(\s*(['"`])((?:\\.|(?!\1).)*)\1,\s*async\b/g)].map(([, , name = '']) =>
    name.replace(/\\(.)/g, '$1'),
  )
}

t.test('every requirement is in the table once', async (t) => {
  const ids = rows.map(({ id }) => id)
  t.same(ids, [...numbered('MUST'), ...numbered('SHLD')])
  const mays = [...table.slice(table.indexOf('\nMAY: ')).matchAll(/MAY-\d+/g)].map(([id]) => id)
  t.same(mays.toSorted(), numbered('MAY').toSorted())
})

t.test('every test that is named exists', async (t) => {
  for (const { id, tests } of rows) {
    for (const { file, name } of tests)
      t.equal(testsOf(read(file)).filter((other) => other === name).length, 1, `${id}: ${file} "${name}"`)
  }
})

t.test('what is held is shown, and what is not is explained', async (t) => {
  for (const { id, held, tests } of rows) {
    t.ok(['yes', 'in part', 'no'].includes(held), `${id}: ${held}`)
    t.equal(tests.length > 0, held !== 'no', `${id} ${tests.length > 0 ? 'names' : 'does not name'} a test`)
  }
  const explained = [...departures.matchAll(/^- \*\*(.+?)\*\*/gm)].flatMap(([, ids = '']) => ids.split(', '))
  t.same(
    explained.toSorted(),
    rows
      .filter(({ held }) => held !== 'yes')
      .map(({ id }) => id)
      .toSorted(),
  )
})
