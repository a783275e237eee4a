"""The shop's views in Lua once more, in SQL: the same rows must come of both. Standard library only."""
import sql_shop

SUMS = """    lines bigint NOT NULL,
    quantity bigint NOT NULL,
    amount_mills bigint NOT NULL"""
ADD = """lines = {table}.lines + excluded.lines,
    quantity = {table}.quantity + excluded.quantity,
    amount_mills = {table}.amount_mills + excluded.amount_mills"""
# The longest description wins, and of equally long ones the first, as in products.lua: by bytes.
DESCRIPTION = """,
    description = CASE WHEN octet_length(excluded.description) > octet_length({table}.description)
        OR (octet_length(excluded.description) = octet_length({table}.description)
            AND excluded.description COLLATE "C" < {table}.description COLLATE "C")
        THEN excluded.description ELSE {table}.description END"""

# By view: the key's column and parameter, other columns as they are in the event, what else an update sets.
TWINS = {
    "countries": (("country", ":country"), (), ""),
    "customers": (("customer", ":customer"), (), ""),
    "invoices": (("invoice", ":aggregate_id"), ("customer", "country", "invoiced_at"), ""),
    "products": (("stock_code", ":stock_code"), ("description",), DESCRIPTION),
}


def statement(table, key, others, more, sign):
    names = ", ".join((key[0], *others, "lines", "quantity", "amount_mills"))
    values = ", ".join((key[1], *(f":{name}" for name in others), "1", f"{sign}(:quantity::bigint)",
                        f"{sign}(:quantity::bigint) * :price_mills::bigint"))
    sets = ADD.format(table=table) + more.format(table=table)
    return f"INSERT INTO {table} ({names})\nVALUES ({values})\nON CONFLICT ({key[0]}) DO UPDATE SET\n    {sets};\n"


def twin_of(view):
    return f"{view}_sql"


def definition(view):
    table = twin_of(view)
    key, others, more = TWINS[view]
    columns = "".join(f"    {name} text NOT NULL,\n" for name in others)
    return (f"-- view: {table}\n-- version: 1\n-- table:\nCREATE TABLE {table} (\n    {key[0]} text PRIMARY KEY,\n"
            f"{columns}{SUMS}\n);\n-- on: LineAdded\n{statement(table, key, others, more, '')}"
            f"-- on: LineReturned\n{statement(table, key, others, more, '-')}")


def shop_with_twins(folder):
    """A copy of the shop with both kinds of each view; returns its folder."""
    domain = sql_shop.copy_shop(folder)
    for view in TWINS:
        (domain / "views" / f"{twin_of(view)}.sql").write_text(definition(view))
    return domain


def rows_of(node, view, position, leave_out=()):
    items = sql_shop.walk(node, f"/views/{view}?limit=1000", position)
    rows = {row["key"]: {name: value for name, value in row.items() if name not in leave_out} for row in items}
    assert len(rows) == len(items), f"{view}: a key came twice"
    return rows


def check_twins(test, node, position):
    """Each row of each view is the same in LMDB and in PostgreSQL; returns how many there were."""
    count = 0
    for view, (key, _, _) in TWINS.items():
        in_lmdb = rows_of(node, view, position)
        in_sql = rows_of(node, twin_of(view), position, leave_out=(key[0],))
        test.assertEqual(in_sql, in_lmdb, view)
        count += len(in_lmdb)
    return count
