/** A thread that tests the scenarios it is told to, one after the other. */

import { parentPort } from 'node:worker_threads'
import { answerLine } from '../crash/answer-line.ts'
import type { Order } from './pool.ts'
import { testScenario } from './run-one.ts'

parentPort?.on('message', ({ file, options }: Order) => {
  void testScenario(file, options, answerLine).then((result) => parentPort?.postMessage(result))
})
