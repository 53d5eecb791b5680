/** Tables of commands, on wide and on narrow terminals. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { layTable, type Row } from '../../tools/table.ts'
import { holds } from '../property.ts'

const COLUMNS = ['', 'prefix', 'via', 'metric']
const SHORT: Row = { '': '*', prefix: '10.0.0.0/8', via: '10.1.0.1', metric: 96 }
const LONG: Row = { '': '!', prefix: 'fd00:1111:2222:3333:4444:5555:6666:7777/128', via: 'fe80::1', metric: 288 }

t.test('as wide as they need to be', async (t) => {
  t.strictSame(layTable(COLUMNS, [SHORT, { prefix: 'x', metric: 1 }], 80), [
    '   PREFIX      VIA       METRIC',
    '*  10.0.0.0/8  10.1.0.1  96',
    '   x                     1',
  ])
  t.strictSame(layTable(COLUMNS, [], 80), ['  PREFIX  VIA  METRIC'])
})

t.test('what a line has no room for stands below', async (t) => {
  t.strictSame(layTable(COLUMNS, [SHORT, LONG], 50), [
    '   PREFIX      VIA       METRIC',
    '*  10.0.0.0/8  10.1.0.1  96',
    `!  ${LONG.prefix}\n               fe80::1   288`,
  ])
  t.strictSame(layTable(COLUMNS, [LONG], 64), [
    `   PREFIX${' '.repeat(39)}VIA      METRIC`,
    `!  ${LONG.prefix}  fe80::1  288`,
  ])
})

const COLUMNS_OF_ANY = ['a', 'bb', 'ccc'] as const
const cell = fc.stringMatching(/^[a-z0-9:./]{0,50}$/)
const rowOfAny = fc.record({ a: cell, bb: cell, ccc: cell })
const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '')

t.test('whatever the width', async (t) => {
  holds(
    t,
    'all cells are there in order, and begin within the line',
    fc.property(fc.array(rowOfAny, { maxLength: 6 }), fc.integer({ min: 10, max: 160 }), (rows, width) => {
      const [head = '', ...laid] = layTable(COLUMNS_OF_ANY, rows, width)
      assert.ok(head.length <= width)
      for (const [i, text] of laid.entries()) {
        const row = rows[i] as (typeof rows)[number]
        assert.deepEqual(wordsOf(text), wordsOf(COLUMNS_OF_ANY.map((column) => row[column]).join(' ')))
        for (const line of text.split('\n')) assert.ok(line.length - (wordsOf(line).at(-1)?.length ?? 0) < width)
      }
    }),
  )
  holds(
    t,
    'a row is a line where there is no end to it',
    fc.property(fc.array(rowOfAny, { maxLength: 6 }), (rows) => {
      const lines = layTable(COLUMNS_OF_ANY, rows, Number.POSITIVE_INFINITY)
      assert.equal(lines.join('\n').split('\n').length, rows.length + 1)
    }),
  )
})
