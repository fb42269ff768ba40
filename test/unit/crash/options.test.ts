import { expect, test } from 'vitest'
import { Misuse } from '../../../src/crash/misuse.ts'
import { parseOptions } from '../../../src/crash/options.ts'
import Echo from './commands/echo.ts'

const table = Echo.crashFlags

test.each([
  ['no words', '', {}, []],
  ['letters apart', '-p -F', { p: true, F: 1 }, []],
  ['letters joined', '-pF', { p: true, F: 1 }, []],
  ['a letter twice is counted', '-FF -F', { F: 3 }, []],
  ['value in the next word', '-y FIFO', { y: 'FIFO' }, []],
  ['value in the same word', '-yFIFO', { y: 'FIFO' }, []],
  ['value after joined letters', '-py FIFO', { p: true, y: 'FIFO' }, []],
  ['values collect', '-s a -sb', { s: ['a', 'b'] }, []],
  ['optional value given', '-S=0', { S: '0' }, []],
  ['optional value not taken from the next word', '-S 0', { S: '' }, ['0']],
  ['options after words', '1 -p 2', { p: true }, ['1', '2']],
  ['digits of a known option', '-16 x', { '16': true }, ['x']],
  ['a negative number is a word', 'x -8', {}, ['x', '-8']],
  ['a lone dash is a word', '-', {}, ['-']],
  ['two dashes end options', '-p -- -F', { p: true }, ['-F']],
  ['long name of a letter', '--parents --policy=RR', { p: true, y: 'RR' }, []],
  ['long name with the next word', '--policy RR', { y: 'RR' }, []],
  ['a long option of its own', '--all', { all: true }, []],
])('%s: %s', (_title, line, flags, words) => {
  expect(parseOptions(table, line.split(' ').filter(Boolean), 'anywhere')).toEqual({ flags, words })
})

test.each([
  ['unknown letter', ['-b']],
  ['unknown letter among known ones', ['-pb']],
  ['unknown long name', ['--nosuch']],
  ['a long option given as letters', ['-all']],
  ['value missing', ['-y']],
])('%s is a misuse', (_title, words) => {
  expect(() => parseOptions(table, words, 'anywhere')).toThrow(Misuse)
})

test('first: options end at the first word', () => {
  expect(parseOptions(table, ['-p', 'a', '-F'], 'first')).toEqual({ flags: { p: true }, words: ['a', '-F'] })
})

test('none: words are untouched', () => {
  expect(parseOptions(table, ['-b', '--', 'a'], 'none')).toEqual({ flags: {}, words: ['-b', '--', 'a'] })
})
