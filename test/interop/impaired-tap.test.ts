/** Transfers through an impaired link over TAP. */
import t from 'tap'
import { runCells } from './impaired.ts'

runCells(t, 'tap')
