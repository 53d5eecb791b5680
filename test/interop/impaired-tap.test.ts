/** Transfers through an impaired link over TAP. */
import { runCells } from './impaired.ts'

runCells('tap')
