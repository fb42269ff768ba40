import { expect, test } from 'vitest'
import { parseLine, splitCommands, splitWords } from '../../../src/crash/line.ts'

test.each([
  ['a command', 'ps -k', { kind: 'command', text: 'ps -k', verbatim: false }],
  ['blanks around', '  ps  ', { kind: 'command', text: 'ps', verbatim: false }],
  ['nothing', '   ', { kind: 'empty', text: '', verbatim: false }],
  ['a comment', '# ps', { kind: 'empty', text: '', verbatim: false }],
  ['a program', '!ls | wc', { kind: 'shell', text: 'ls | wc', verbatim: true }],
  ['past aliases', '\\px 1', { kind: 'command', text: 'px 1', verbatim: true }],
  ['a pipe', 'ps | grep a | wc', { kind: 'command', text: 'ps', pipe: 'grep a | wc', verbatim: false }],
  ['a file', 'ps > f', { kind: 'command', text: 'ps', pipe: 'cat > f', verbatim: false }],
  ['appending', 'ps >> f', { kind: 'command', text: 'ps', pipe: 'cat >> f', verbatim: false }],
  ['a bar in parentheses', 'p (a | b)', { kind: 'command', text: 'p (a | b)', verbatim: false }],
  ['a bar in quotes', 'ps "a|b"', { kind: 'command', text: 'ps "a|b"', verbatim: false }],
  ['a bar in single quotes', "ps 'a|b'", { kind: 'command', text: "ps 'a|b'", verbatim: false }],
  ['an arrow', 'p a->b', { kind: 'command', text: 'p a->b', verbatim: false }],
  ['logical or', 'p a || b', { kind: 'command', text: 'p a || b', verbatim: false }],
  ['at least', 'p a >= b', { kind: 'command', text: 'p a >= b', verbatim: false }],
  ['a quote that never closes', 'p "a | b', { kind: 'command', text: 'p "a', pipe: 'b', verbatim: false }],
])('%s: %s', (_title, line, parsed) => {
  expect(parseLine(line)).toEqual(parsed)
})

test.each([
  ['ps; files 1', ['ps', 'files 1']],
  ['ps;', ['ps']],
  [';;', []],
  ['p "a;b"; q', ['p "a;b"', 'q']],
  ['ps; !echo a; echo b', ['ps', '!echo a; echo b']],
])('commands of %s', (line, commands) => {
  expect(splitCommands(line)).toEqual(commands)
})

test.each([
  ['a  b\tc', ['a', 'b', 'c']],
  ['eval (1 + 2)*3', ['eval', '(1 + 2)*3']],
  ['p "a b" c', ['p', 'a b', 'c']],
  ["ps 'k.*d x' y", ['ps', "'k.*d x'", 'y']],
  ['p (a', ['p', '(a']],
  ['p sizeof(struct sock)', ['p', 'sizeof(struct', 'sock)']],
  ['alias x ""', ['alias', 'x', '']],
])('words of %s', (text, words) => {
  expect(splitWords(text)).toEqual(words)
})
