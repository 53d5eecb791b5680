/** The rules of the project on every file of it, and on files planted to break each of them. */
import t from 'tap'
import { faults } from './architecture/files.ts'
import { planted } from './architecture/planted.ts'
import { withPlanted, withTree } from './architecture/project.ts'

t.test('every file keeps the rules', async (t) => {
  const found = withTree((sources) => sources.map((source) => ({ path: source.path, faults: faults(source) })))
  t.ok(found.length > 40, 'the tree was found')
  for (const { path, faults } of found) t.same(faults, [], path)
})

t.test('a planted violation of every rule is refused', async (t) => {
  const files = Object.fromEntries(planted.map(({ path, text }) => [path, text]))
  t.equal(Object.keys(files).length, planted.length, 'each has a path of its own')
  const found = withPlanted(files, (sources) => new Map(sources.map((source) => [source.path, faults(source)])))
  for (const { path, text, refused } of planted) {
    const faults = found.get(path) ?? []
    const name = `${path}: ${text.split('\n')[0]}`
    if (refused === null) t.same(faults, [], `allowed: ${name}`)
    else t.match(faults, [refused], `refused: ${name}`)
    t.equal(faults.length, refused === null ? 0 : 1, 'for one reason')
  }
})
