"""check_page.py PAGE: the page is well formed, uses nothing from outside and runs no script."""
import base64
import html.parser
import sys

EMPTY = {'meta', 'img', 'br', 'input', 'link'}


class Checker(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.pictures, self.sounds, self.curves = [], 0, 0, 0

    def handle_starttag(self, tag, attributes):
        assert tag not in ('script', 'link', 'iframe'), tag
        for name, value in attributes:
            assert not name.startswith('on'), name
            if name in ('src', 'href'):
                kind, data = value.split(';base64,')
                begin = base64.b64decode(data, validate=True)[:4]
                assert (kind, begin) in (('data:image/png', b'\x89PNG'), ('data:audio/wav', b'RIFF')), (kind, begin)
        self.pictures += tag == 'img'
        self.sounds += tag == 'audio'
        self.curves += tag == 'svg'
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in EMPTY:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()


with open(sys.argv[1], encoding='utf-8') as file:
    text = file.read()
checker = Checker()
checker.feed(text)
checker.close()
assert not checker.open, checker.open
assert 'url(' not in text and '@import' not in text and 'nan' not in text.split('base64')[0]
print(checker.curves, 'curves', checker.pictures, 'pictures', checker.sounds, 'sounds')
