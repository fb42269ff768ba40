/** Types of many-tasks.js for the tests. */
export function manyTasks(target: unknown, targetOf: unknown, count: number): unknown
