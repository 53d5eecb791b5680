/**
 * `node --import=./scripts/typescript.mjs FILE.ts`: what the tests run through. It takes this project's TypeScript only,
 * where types are all there is to strip and every import names its file: a test starts in half the processor time that
 * it takes through a loader for anyone's.
 */
import module from 'node:module'
import * as hooks from './typescript-hooks.mjs'

// Node 20 has hooks only in a thread of their own, where they may wait; later ones have them here, where they may not.
if (module.registerHooks === undefined) module.register('./typescript-hooks.mjs', import.meta.url)
else module.registerHooks(hooks)
