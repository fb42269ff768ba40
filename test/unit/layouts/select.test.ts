import { describe, expect, test } from 'vitest'
import { parseRoots } from '../../../src/layouts/roots.ts'
import { parseSelection, parseSystemMap, selectSymbols } from '../../../src/layouts/select.ts'

const map = parseSystemMap(
  [
    '00000000 D cpu_a',
    'c1000000 T _text',
    'c1000000 T _stext',
    'c1000010 t tcp_a',
    'c1000020 t tcp_b',
    'c1000020 t alias_b',
    'c1000030 t other',
    'c1000040 T tcp_c',
    'c1000050 T tcp_a',
    'c1000060 B _end',
    '',
  ].join('\n'),
  'System.map',
)
const select = (text: string) =>
  selectSymbols(map, parseSelection(text)).map(
    ({ name, size, filler }) => `${filler ? '+' : ''}${name}:${size.toString(16)}`,
  )

describe('selectSymbols', () => {
  test.each([
    ['a name, with its successor as filler', 'tcp_c', ['tcp_c:10', '+tcp_a:10']],
    ['local symbols of one name, all of them', 'tcp_a', ['tcp_a:10', '+tcp_b:10', 'tcp_a:10', '+_end:0']],
    ['a pattern', 'tcp_?', ['tcp_a:10', 'tcp_b:10', '+other:10', 'tcp_c:10', 'tcp_a:10', '+_end:0']],
    ['a pattern with exceptions', 'tcp_*\nwithout tcp_[a] tcp_a tcp_b', ['tcp_c:10', '+tcp_a:10']],
    ['names beat exceptions', 'without *\ntcp_c # the listener', ['tcp_c:10', '+tcp_a:10']],
    ['two of one address: size to the next higher address', '_text', ['_text:10', '+tcp_a:10']],
    ['an alias already kept ends the symbol before', 'tcp_a alias_b', ['tcp_a:10', 'alias_b:10', '+other:10', 'tcp_a:10', '+_end:0']], // prettier-ignore
    ['a range, both ends included', 'range other tcp_c', ['other:10', 'tcp_c:10', '+tcp_a:10']],
    ['a range whose end is missing: nothing', 'range other nonesuch', []],
    ['the last symbol: no size', '_end', ['_end:0']],
    ['nothing', '', []],
  ])('%s', (_, text, expected) => expect(select(text)).toEqual(expected))

  test('a line that is no symbol is refused', () => {
    expect(() => parseSystemMap('c1000000 T a\nnonsense\n', 'System.map')).toThrow(
      expect.objectContaining({ code: 'BAD_FORMAT', path: 'System.map' }),
    )
  })
})

describe('parseRoots', () => {
  test('reads kinds and names, once each', () => {
    const roots = parseRoots(
      '# all\nstruct sock file # two\nstruct sock\npercpu runqueues\nenumerator TCP_LISTEN\n',
    )
    expect(roots).toEqual({
      named: [
        { kind: 'struct', name: 'sock' },
        { kind: 'struct', name: 'file' },
        { kind: 'var', name: 'runqueues' },
      ],
      enumerators: ['TCP_LISTEN'],
    })
  })

  test('a line of no kind is refused', () => expect(() => parseRoots('sock file')).toThrow())
})
