import pytest

from pretrain.download.languages import language_of


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("src/main.c", "C"),
        ("a/b.tar/lib.RS", "Rust"),
        ("x.py", "Python"),
        ("Makefile", "Makefile"),
        ("sub/Makefile.am", "Makefile"),
        ("docker/Dockerfile.dev", "Dockerfile"),
        ("CMakeLists.txt", "CMake"),
        ("notes.txt", "Text"),
        ("py", None),
        (".gitignore", None),
        ("LICENSE", None),
        ("a.unknown", None),
        ("", None),
        ("../../etc/passwd", None),
    ],
)
def test_language_by_name_or_extension(path, language):
    assert language_of(path) == language
