import { testParity } from './parity-suite.ts'

const CONTEXT = 'recorded after `set 1`: the task is another'

testParity('task', { 'dev/task': CONTEXT, 'dev/task_init_task': CONTEXT })
