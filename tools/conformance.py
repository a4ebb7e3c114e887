#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds docs/conformance against the tree: every clause is answered for, and what is said to meet
it is there.

A map is a TSV with a row for each normative statement: id, status, code, test, note (and, where no
list of statements exists elsewhere, clause). A row is met by code that exists and by a test that
runs, can fail, and carries the id in a comment beside the assertion: RFC6043:5.1.2-2.
Usage: conformance.py [--allow-open] [ROOT]; conformance.py --self-test.
"""

import re
import sys
import tempfile
import zlib
from functools import lru_cache
from pathlib import Path

# map, its tag, rows, CRC-32 of the ids joined by newlines, list of the same ids outside the tree
MAPS = [
    ('docs/conformance/rfc6043.tsv', 'RFC6043', 260, 0x47c7e619,
     '../shared/conformance/rfc6043.tsv'),
    ('docs/conformance/rfc3830.tsv', 'RFC3830', 83, 0x3d1348e8, None),
    ('docs/conformance/rfc4567.tsv', 'RFC4567', 30, 0x169c607e, None),
    ('docs/conformance/rfc4568.tsv', 'RFC4568', 16, 0xa535e9f1, None),
]
COLUMNS = ['id', 'status', 'code', 'test', 'note']
STATUS = {  # status: the cells that may not be empty
    'met': ('code', 'test'),
    'choice': ('note',),
    'not ours': ('note',),
    'open': ('note',),
}
BESIDE = 4  # lines between a tag and the assertion it belongs to

COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*', re.S)
ASSERT = re.compile(r'\b(assert_\w+|fail_msg|fail)\s*\(')
TEST = re.compile(r'^(\w+)\(void \*\*state\)$', re.M)
OBJECT = re.compile(r'^(?:\}|(?:static |const |struct )*\w[\w *]*?)[ *](\w+)(?:\[[^\]]*\])* = \{$')


def tag_pattern(tag, clause):
    return re.compile(rf'\b{tag}:{re.escape(clause)}(?![\w.-])')


def blank(m):
    return re.sub(r'[^\n]', ' ', m.group())


class Source:
    """A C file of tests, cut into its functions and tables."""

    def __init__(self, text):
        self.text = text
        self.lines = text.split('\n')
        self.code = COMMENT.sub(blank, text).split('\n')
        self.chunks = {}  # name -> first and last line
        start, name = None, None
        for n, line in enumerate(self.code):
            m = OBJECT.match(line) or re.match(r'(\w+)\(', line)
            if m and name is None:
                start, name = n, m.group(1)
            elif line in ('}', '};') or (line.startswith('}') and line.endswith(';')):
                if name is not None:
                    self.chunks.setdefault(name, (start, n))
                name = None
        words = {k: set(re.findall(r'\w+', '\n'.join(self.code[a + 1:b + 1])))
                 for k, (a, b) in self.chunks.items()}
        self.uses = {k: (w & self.chunks.keys()) - {k} for k, w in words.items()}
        self.asserting = {k for k, (a, b) in self.chunks.items()
                          if ASSERT.search('\n'.join(self.code[a:b + 1]))}
        grown = True
        while grown:
            more = {k for k, u in self.uses.items() if u & self.asserting} - self.asserting
            self.asserting |= more
            grown = bool(more)

    def reach(self, name):
        seen, todo = set(), [name]
        while todo:
            k = todo.pop()
            if k not in seen:
                seen.add(k)
                todo += self.uses.get(k, ())
        return seen

    def runs(self, name):
        """Registered: named once more outside itself."""
        a, b = self.chunks[name]
        rest = self.code[:a] + self.code[b + 1:]
        return any(re.search(rf'\b{name}\b', line) for line in rest)

    def asserts_at(self, n, chunk):
        a, b = self.chunks[chunk]
        near = '\n'.join(self.code[max(a, n - BESIDE):min(b, n + BESIDE) + 1])
        words = set(re.findall(r'\b(\w+)\s*\(', near))
        return bool(ASSERT.search(near)) or bool(words & (self.asserting - {chunk}))

    def in_table(self, n, chunk):
        """A row of a table: its rows are what the assertion walks over."""
        a, _ = self.chunks[chunk]
        for line in reversed(self.code[a:n + 1]):
            if re.search(r'\};\s*$', line):
                return False
            if re.search(r'= \{\s*$', line):
                return True
        return False

    def carries(self, name, pattern):
        """Why the test does not carry the tag, or None."""
        where = [n for n, line in enumerate(self.lines) if pattern.search(line)]
        for n in where:
            for chunk in self.reach(name):
                a, b = self.chunks[chunk]
                if a <= n <= b and (self.in_table(n, chunk) or self.asserts_at(n, chunk)):
                    return None
        return 'has the tag, but not beside an assertion of it' if where else 'does not carry the id'


@lru_cache(maxsize=None)
def read(path):
    return path.read_text(encoding='utf-8') if path.is_file() else None


@lru_cache(maxsize=None)
def source(path):
    return Source(read(path))


def check_code(root, ref):
    path, _, name = ref.partition(':')
    text = read(root / path)
    if text is None or not name:
        return f'no file {path}' if name else f'{ref}: no function'
    word = re.escape(name)
    defined = (rf'^{word}\(|^(?:\}}|(?:static |const |struct )*\w[\w *]*)[ *]{word}(?:\[[^\]]*\])* = |'
               rf'^#define {word}\b|^struct {word} \{{|^\s*def {word}\(|^[\w *]+\b{word}\([^;]*$')
    return None if re.search(defined, text, re.M) else f'no {name} in {path}'


def check_shell_test(path, text, name, pattern):
    lines = text.split('\n')
    at = [n for n, line in enumerate(lines) if re.match(rf"\s*check '{re.escape(name)}' ", line)]
    if not at:
        return f'no check {name!r} in {path}'
    if not any(pattern.search(line) for line in lines[max(0, at[0] - 2):at[0] + 1]):
        return f'{path}: check {name!r} does not carry the id'
    return None


def built(root, path):
    """The meson.build beside a C test names it, whole or as what is put together in a loop."""
    words = re.findall(r"'([\w.]+)'", read((root / path).parent / 'meson.build') or '')
    heads = {''} | {w for w in words if w.endswith('_')}
    return any(h + w.removesuffix('.c') == Path(path).stem for h in heads for w in words)


def check_test(root, ref, pattern):
    path, _, name = ref.partition(':')
    text = read(root / path)
    if text is None or not name:
        return f'no file {path}' if name else f'{ref}: no test'
    if path.endswith('.sh'):
        return check_shell_test(path, text, name, pattern)
    if not built(root, path):
        return f'{path} is in no meson.build beside it'
    s = source(root / path)
    runner = path.startswith('tests/runner/')
    if name not in s.chunks or not (runner or name in TEST.findall(text)):
        return f'no test {name} in {path}'
    if not s.runs(name):
        return f'{path}: {name} is never run'
    if name not in s.asserting and not runner:
        return f'{path}: {name} cannot fail'
    why = s.carries(name, pattern)
    return f'{path}: {name} {why}' if why else None


def read_map(root, name):
    """The rows of a map as dictionaries, and what is wrong with its form."""
    text = read(root / name)
    if text is None:
        return [], [f'no {name}']
    lines = text.rstrip('\n').split('\n')
    head = lines[0].split('\t')
    if head[:len(COLUMNS)] != COLUMNS:
        return [], [f'{name}:1: the columns are not {" ".join(COLUMNS)}']
    rows, found = [], []
    for n, line in enumerate(lines[1:], 2):
        cells = line.split('\t')
        if len(cells) != len(head):
            found.append(f'{name}:{n}: {len(cells)} cells, not {len(head)}')
            continue
        rows.append(dict(zip(head, cells), line=n))
    return rows, found


def ids_of(rows):
    return [r['id'] for r in rows]


def check_ids(root, name, rows, count, crc, shared):
    ids, found = ids_of(rows), []
    found += [f'{name}: {i} twice' for i in sorted({i for i in ids if ids.count(i) > 1})]
    if len(ids) != count:
        found.append(f'{name}: {len(ids)} rows, not {count}')
    if crc_of(ids) != crc:
        found.append(f'{name}: the ids are not those of tools/conformance.py (CRC {crc_of(ids):#010x})')
    listed = read(root / shared) if shared else None
    if listed is not None:
        want = [line.split('\t')[0] for line in listed.rstrip('\n').split('\n')[1:]]
        found += [f'{name}: {i} is missing' for i in want if i not in ids]
        found += [f'{name}: {i} is not in {shared}' for i in ids if i not in want]
    return found


def crc_of(ids):
    return zlib.crc32('\n'.join(ids).encode())


def refs(cell):
    return [r.strip() for r in cell.split(';') if r.strip()]


def check_row(root, name, tag, row, allow_open):
    where = f'{name}:{row["line"]}: {row["id"]}'
    if row['status'] not in STATUS:
        return [f'{where}: status {row["status"]!r} is none of {", ".join(STATUS)}']
    found = [f'{where}: {row["status"]} without {c}' for c in STATUS[row['status']] if not row[c]]
    if row.get('clause') == '':
        found.append(f'{where}: no clause')
    if row['status'] == 'open' and not allow_open:
        found.append(f'{where}: open ({row["note"]})')
    pattern = tag_pattern(tag, row['id'])
    found += [f'{where}: {why}' for r in refs(row['code']) if (why := check_code(root, r))]
    found += [f'{where}: {why}' for r in refs(row['test']) if (why := check_test(root, r, pattern))]
    return found


def check_tags(root, known):
    """A tag with a number that no map has is a slip of the pen."""
    found = []
    for path in sorted((root / 'tests').rglob('*.[ch]')) + sorted((root / 'tests').rglob('*.sh')):
        for m in re.finditer(r'\b(RFC\d+):([\w.]+-\d+)', read(path)):
            if m.group(1) in known and m.group(2) not in known[m.group(1)]:
                line = read(path).count('\n', 0, m.start()) + 1
                found.append(f'{path.relative_to(root)}:{line}: {m.group()} is in no map')
    return found


def check_tree(root, allow_open, maps=None):
    found, said, known = [], [], {}
    for name, tag, count, crc, shared in MAPS if maps is None else maps:
        rows, bad = read_map(root, name)
        found += bad
        if rows:
            found += check_ids(root, name, rows, count, crc, shared)
        for row in rows:
            found += check_row(root, name, tag, row, allow_open)
        known[tag] = set(ids_of(rows))
        numbers = [f'{sum(r["status"] == s for r in rows)} {s}' for s in STATUS]
        said.append(f'{name}: {len(rows)} statements: {", ".join(numbers)}')
    return found + check_tags(root, known), said


# --- the self-test ------------------------------------------------------------------------------

GOOD_TEST = '''#include <cmocka.h>
static const int table[] = {
    1, /* RFC6043:9-4 */
};
static void
holds(int x)
{
    assert_int_equal(x, 1); /* RFC6043:9-3 */
}
static void
adds_up(void **state)
{
    assert_int_equal(1 + 1, 2); /* RFC6043:9-1 */
    holds(table[0]);
}
static void
far_away(void **state)
{
    assert_int_equal(1, 1);
    one();
    two();
    three();
    four();
    five(); /* RFC6043:9-1 */
}
static void
cannot_fail(void **state)
{
    add(1, 1); /* RFC6043:9-1 */
}
static void
never_run(void **state)
{
    assert_true(1); /* RFC6043:9-1 */
}
static void
was_commented_out(void **state)
{
    /* assert_true(1); RFC6043:9-1 */
}
int
main(void)
{
    run(adds_up, far_away, cannot_fail, was_commented_out);
}
'''
TREE = {
    'src/add.c': 'static const int numbers[] = { 1 };\nint\nadd(int a, int b)\n{\n}\n',
    'tests/meson.build': "foreach name : ['sum']\n  test('test_' + name)\n",
    'tests/test_sum.c': GOOD_TEST,
    'tests/test_lost.c': GOOD_TEST,
    'tests/s.sh': "# RFC6043:9-1\ncheck 'a check' true\n\n\ncheck 'bare' true\n",
    'ids.tsv': 'id\tlevel\n9-1\tMUST\n9-2\tMAY\n',
}
FINE = ['9-1\tmet\tsrc/add.c:add\ttests/test_sum.c:adds_up\t', '9-2\tnot ours\t\t\tno such thing']


def fine_but(n, row):
    return FINE[:n] + [row] + FINE[n + 1:]


def met_by(code, test):
    return fine_but(0, f'9-1\tmet\t{code}\t{test}\t')


# what, rows, further files, part of the complaint (None: there is none)
SELF_TEST = [
    ('a map in order', FINE, {}, None),
    ('a table as code', met_by('src/add.c:numbers', 'tests/test_sum.c:adds_up'), {}, None),
    ('two tests', met_by('src/add.c:add', 'tests/test_sum.c:adds_up; tests/s.sh:a check'), {}, None),
    ('a choice with its words', fine_but(1, '9-2\tchoice\t\t\tboth'), {}, None),
    ('a missing id', FINE[:1], {}, '9-2 is missing'),
    ('a missing id without the outer list', FINE[:1], {'ids.tsv': None}, '1 rows, not 2'),
    ('another id without the outer list', fine_but(1, '9-7\tnot ours\t\t\tx'), {'ids.tsv': None},
     'CRC'),
    ('an id nobody knows', fine_but(1, '9-7\tnot ours\t\t\tx'), {}, '9-7 is not in'),
    ('an id twice', FINE[:1] * 2, {}, '9-1 twice'),
    ('a row cut short', fine_but(1, '9-2\tnot ours'), {}, '2 cells, not 5'),
    ('an invented status', fine_but(1, '9-2\tpartly\t\t\tx'), {}, "'partly'"),
    ('a choice without words', fine_but(1, '9-2\tchoice\t\t\t'), {}, 'choice without note'),
    ('not ours without a reason', fine_but(1, '9-2\tnot ours\t\t\t'), {}, 'without note'),
    ('an open row', fine_but(1, '9-2\topen\t\t\tlater'), {}, 'open (later)'),
    ('met without code', met_by('', 'tests/test_sum.c:adds_up'), {}, 'met without code'),
    ('met without a test', met_by('src/add.c:add', ''), {}, 'met without test'),
    ('code in no file', met_by('src/sub.c:add', 'tests/test_sum.c:adds_up'), {}, 'no file'),
    ('a function that is not there', met_by('src/add.c:sub', 'tests/test_sum.c:adds_up'), {},
     'no sub in'),
    ('a test in no file', met_by('src/add.c:add', 'tests/test_none.c:adds_up'), {}, 'no file'),
    ('a test that is not there', met_by('src/add.c:add', 'tests/test_sum.c:adds_down'), {},
     'no test adds_down'),
    ('a helper as a test', met_by('src/add.c:add', 'tests/test_sum.c:holds'), {}, 'no test holds'),
    ('a test that is not built', met_by('src/add.c:add', 'tests/test_lost.c:adds_up'), {},
     'no meson.build'),
    ('a test that is not run', met_by('src/add.c:add', 'tests/test_sum.c:never_run'), {},
     'is never run'),
    ('a test that cannot fail', met_by('src/add.c:add', 'tests/test_sum.c:cannot_fail'), {},
     'cannot fail'),
    ('an assertion in a comment', met_by('src/add.c:add', 'tests/test_sum.c:was_commented_out'), {},
     'cannot fail'),
    ('a tag far from any assertion', met_by('src/add.c:add', 'tests/test_sum.c:far_away'), {},
     'not beside'),
    ('a test without the tag', fine_but(1, '9-2\tmet\tsrc/add.c:add\ttests/test_sum.c:adds_up\t'), {},
     'does not carry'),
    ('a tag of another id as its own',
     fine_but(1, '9-2\tmet\tsrc/add.c:add\ttests/test_sum.c:adds_up\t'),
     {'tests/test_sum.c': GOOD_TEST.replace('9-1 ', '9-22 ')}, 'does not carry'),
    ('a shell check that is not there', met_by('src/add.c:add', 'tests/s.sh:no check'), {},
     "no check 'no check'"),
    ('a shell check without the tag', met_by('src/add.c:add', 'tests/s.sh:bare'), {},
     'does not carry'),
    ('a tag in no map', FINE, {'tests/a.h': '/* RFC6043:99-1 */\n'}, 'in no map'),
    ('no map at all', None, {}, 'no map.tsv'),
]
# Tags through a helper and in a table: ids 9-3 and 9-4.
REACHED = [('a tag in a helper', '9-3', None), ('a tag in a table', '9-4', None)]


def write_tree(root, rows, more):
    for name, text in {**TREE, **more}.items():
        if text is not None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding='utf-8')
    if rows is not None:
        (root / 'map.tsv').write_text('\n'.join(['\t'.join(COLUMNS)] + rows) + '\n', encoding='utf-8')


def complaints(rows, more, ids=('9-1', '9-2'), allow_open=False):
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        write_tree(root, rows, {'tests/x.h': '', **more})
        # The tags of the helper and the table are rows of no map here.
        test = root / 'tests/test_sum.c'
        if ids == ('9-1', '9-2'):
            for lost in (test, root / 'tests/test_lost.c'):
                lost.write_text(re.sub(r'RFC6043:9-[34]', '', lost.read_text()))
        found, _ = check_tree(root, allow_open,
                              [('map.tsv', 'RFC6043', len(ids), crc_of(ids), 'ids.tsv')])
    return found


def self_test():
    results = []
    for what, rows, more, want in SELF_TEST:
        found = complaints(rows, more)
        good = not found if want is None else any(want in f for f in found)
        results.append((good, ('allows ' if want is None else 'refuses ') + what))
    for what, clause, _ in REACHED:
        rows = FINE + [f'{i}\tmet\tsrc/add.c:add\ttests/test_sum.c:adds_up\t' for i in ('9-3', '9-4')]
        found = complaints(rows, {'ids.tsv': None}, ('9-1', '9-2', '9-3', '9-4'))
        results.append((not any(clause in f for f in found), f'finds {what}'))
    found = complaints(fine_but(1, '9-2\topen\t\t\tlater'), {}, allow_open=True)
    results.append((not found, 'allows an open row when told to'))
    print(f'1..{len(results)}')
    for n, (good, what) in enumerate(results, 1):
        print(f'{"ok" if good else "not ok"} {n} - {what}')
    return 0 if all(good for good, _ in results) else 1


def main():
    args = sys.argv[1:]
    if args == ['--self-test']:
        return self_test()
    allow_open = '--allow-open' in args
    args = [a for a in args if a != '--allow-open']
    root = Path(args[0]) if args else Path(__file__).resolve().parent.parent
    found, said = check_tree(root, allow_open)
    print('\n'.join(found + said))
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
