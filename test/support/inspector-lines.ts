/** A line or more of every crash command, each asking for much: what damaged dumps are asked. */

import type { Target } from '../../src/target/target.ts'
import { task_table } from '../../src/helpers/tasks.ts'

/** @param target names a task and addresses that exist */
export function inspectorLines(target: Target): string[] {
  const tasks = task_table(target).tasks
  const user = tasks.findLast(({ task }) => task.$ref('mm') !== null) ?? tasks[0]
  const pid = user?.pid ?? 1
  const task = (user?.task.$addr ?? 0n).toString(16)
  return [
    'ps', 'ps -a', 'ps -l', 'ps -p', 'ps -t', 'ps -g', 'ps -m', 'ps -r', `ps -c ${pid}`,
    'foreach files', `files -c ${pid}`, 'foreach net -s', 'foreach net -S', 'net', 'net -a', 'net --all', `net -n ${pid}`,
    'mod', 'mod -t', 'sym -M', 'sym -q tcp', `sym ${target.sym('init_task').toString(16)}`,
    'log', 'log -t', 'mount', 'bt -a', 'foreach bt', `bt -f ${pid}`, `bt -F ${pid}`, `bt -e ${pid}`, `bt -r ${pid}`, `bt -t ${pid}`, 'bt -v', 'bt -E',
    'foreach vm', `vm -p ${pid}`, `vm -v ${pid}`, `vm -m ${pid}`, 'foreach sig', 'sig -g 1', 'foreach task', `task ${pid}`,
    'runq', 'runq -t', 'runq -g', 'runq -m', 'set', `set ${pid}`, 'sys', 'sys -c', 'sys -t', 'sys -i', 'sys config',
    'dev', 'dev -p', 'dev -i', 'dev -d', 'dev -D', 'dev -V',
    'info', 'diff 0 1', 'kmem -i', 'kmem -s', 'kmem -S', 'kmem -v', 'kmem -V', 'kmem -z', 'kmem -n', 'kmem -f', 'kmem -F', 'kmem -o', 'kmem -h',
    `kmem ${task}`, `kmem -s ${task}`, `struct task_struct ${task}`, `struct -p task_struct.mm ${task}`, `union sigval ${task}`,
    'list task_struct.tasks -s task_struct.pid -H init_task.tasks', `list -h ${task} -o task_struct.tasks`, `list -B ${task}`, 'list -r modules',
    'tree -t rbtree vmap_area_root -s vmap_area.va_start', 'tree -t xarray init_pid_ns.idr.idr_rt', `tree -t maple ((struct task_struct *)0x${task})->mm->mm_mt`,
    `rd ${task} 64`, `rd -S ${task} 16`, 'p init_task', 'px init_task', 'pd init_task.pid', `p *(struct task_struct *)0x${task}`, 'p runqueues:a', 'whatis task_struct',
    `vtop ${task}`, 'vtop 400000', `pte 8000000001a5d067`, 'ptov 1000', 'btop 1000', 'ptob 1',
    'search -t deadbeef', 'search -u deadbeef', 'search -V deadbeef', 'search -c Linux',
    'check', 'check --all', 'sys -c --owners', 'explain --all', `explain --task ${pid}`, `explain --sock ${task}`, `why ${task}`,
  ] // prettier-ignore
}
