/** Figures that cannot be read. */
import { Registry } from 'prom-client'
import t from 'tap'
import { Figures } from '../../../tools/router/figures.ts'

t.test('a figure that cannot be read is left out, and the others are not', async (t) => {
  const registry = new Registry()
  const told: string[] = []
  const figures = new Figures(registry, (name, error) => told.push(`${name}: ${error}`))
  let broken = true
  const read = (value: number) => {
    if (broken) throw new Error('no value')
    return value
  }
  figures.gauge('before', 'One.', [], () => [[{}, 1]])
  figures.gauge('bare', 'One without labels.', [], () => [[{}, read(2)]])
  figures.gauge('labelled', 'One with labels.', ['link'], () => [[{ link: 'lan' }, read(3)]])
  figures.counter('counted', 'One that grows.', [], () => [[{}, read(4)]])
  figures.gauge('after', 'One.', ['link'], () => [[{ link: 'lan' }, 5]])
  const values = async () => (await registry.metrics()).split('\n').filter((line) => /^netstrata/.test(line))
  t.strictSame(await values(), ['netstrata_before 1', 'netstrata_after{link="lan"} 5'])
  t.strictSame(await values(), ['netstrata_before 1', 'netstrata_after{link="lan"} 5'])
  t.strictSame(
    [...figures.failures],
    [
      ['bare', 2],
      ['labelled', 2],
      ['counted', 2],
    ],
  )
  t.strictSame(told, ['bare: Error: no value', 'labelled: Error: no value', 'counted: Error: no value'], 'once each')
  broken = false
  t.strictSame(await values(), [
    'netstrata_before 1',
    'netstrata_bare 2',
    'netstrata_labelled{link="lan"} 3',
    'netstrata_counted 4',
    'netstrata_after{link="lan"} 5',
  ])
})
