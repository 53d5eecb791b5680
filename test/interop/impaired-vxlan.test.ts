/** Transfers through an impaired link over VXLAN. */
import t from 'tap'
import { runCells } from './impaired.ts'

runCells(t, 'vxlan')
