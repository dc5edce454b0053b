-- Adds interned requirements. Safe: ids are given once by the one writer, a repeat is refused.
INSERT INTO class (id, requirements) {rows}
