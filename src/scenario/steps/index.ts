/** Every step there is, in the order the documentation has them. A new one is a file of this folder and a line here. */

import type { StepDefinition } from '../step.ts'
import { ack } from './ack.ts'
import { close } from './close.ts'
import { closeStdin } from './close-stdin.ts'
import { connect } from './connect.ts'
import { expect } from './expect.ts'
import { insmod } from './insmod.ts'
import { kill } from './kill.ts'
import { listen } from './listen.ts'
import { lose } from './lose.ts'
import { probe } from './probe.ts'
import { reset } from './reset.ts'
import { rmmod } from './rmmod.ts'
import { run } from './run.ts'
import { segment } from './segment.ts'
import { send } from './send.ts'
import { shell } from './shell.ts'
import { snapshot } from './snapshot.ts'
import { syscall } from './syscall.ts'
import { type } from './type.ts'
import { unprobe } from './unprobe.ts'
import { wait } from './wait.ts'

export const steps: readonly StepDefinition[] = [
  run, shell, syscall, type, closeStdin, kill,
  connect, ack, send, close, reset, listen, segment, lose,
  insmod, rmmod, probe, unprobe,
  wait, snapshot, expect,
] // prettier-ignore
