/* The text of an array form under construction, and the rows of parameters in it. */
#include <assert.h>

#include "schemas/sql_shape_int.h"

void cairn_sql_form_put(struct cairn_sql_form *form, struct cairn_slice bytes)
{
    if (form->rc == CAIRN_OK) {
        form->rc = cairn_buf_append(&form->buf, bytes);
    }
}

void cairn_sql_form_str(struct cairn_sql_form *form, const char *bytes)
{
    cairn_sql_form_put(form, cairn_slice_str(bytes));
}

void cairn_sql_form_number(struct cairn_sql_form *form, const char *before, size_t number)
{
    cairn_sql_form_str(form, before);
    if (form->rc == CAIRN_OK) {
        form->rc = cairn_buf_append_u64(&form->buf, number);
    }
}

void cairn_sql_form_name(struct cairn_sql_form *form, struct cairn_slice name)
{
    cairn_sql_form_str(form, "\"");
    for (size_t i = 0; i < name.size; i++) {
        cairn_sql_form_str(form, name.data[i] == '"' ? "\"" : "");
        cairn_sql_form_put(form, cairn_slice_of(name.data + i, 1));
    }
    cairn_sql_form_str(form, "\"");
}

static const char *begin_of(const struct cairn_sql_token *token)
{
    return token->text.data - (token->kind == CAIRN_SQL_PARAMETER ? 1 : 0);
}

static void put_param(struct cairn_sql_form *form, size_t param)
{
    cairn_sql_form_number(form, form->arrays, param + 1);
}

/* Tokens as they were written, with p.p1 for the first parameter. Between them is nothing, or a
 * line end: where there was a comment, two operators must not become one, and a string in two
 * parts stays one only so. */
void cairn_sql_form_span(struct cairn_sql_form *form, struct cairn_sql_span span)
{
    const struct cairn_sql_reading *reading = form->reading;
    assert(span.begin <= span.end && span.end <= reading->token_count);
    for (size_t i = span.begin; i < span.end; i++) {
        const struct cairn_sql_token *token = &reading->tokens[i];
        const struct cairn_sql_token *last = i > span.begin ? token - 1 : NULL;
        if (last != NULL && last->text.data + last->text.size != begin_of(token)) {
            cairn_sql_form_str(form, "\n");
        }
        if (token->kind == CAIRN_SQL_PARAMETER) {
            cairn_sql_form_str(form, " ");
            cairn_sql_form_str(form, form->arrays);
            cairn_sql_form_str(form, ".");
            put_param(form, cairn_sql_param_number(reading->statement, token));
        } else {
            cairn_sql_form_put(form, token->text);
        }
    }
}

static void put_array(struct cairn_sql_form *form, size_t param)
{
    cairn_sql_form_number(form, "$", param + 1);
    cairn_sql_form_str(form, "::");
    cairn_sql_form_put(form, form->reading->param_types[param]);
    cairn_sql_form_str(form, "[]");
}

void cairn_sql_form_numbered_rows(struct cairn_sql_form *form)
{
    size_t count = form->reading->statement->param_count;
    cairn_sql_form_str(form, "unnest(");
    for (size_t i = 0; i < count; i++) {
        cairn_sql_form_str(form, i == 0 ? "" : ", ");
        put_array(form, i);
    }
    if (form->shape->folds) {
        cairn_sql_form_number(form, ", $", count + 1);
        cairn_sql_form_str(form, "::bigint[]");
    }
    cairn_sql_form_str(form, ") WITH ORDINALITY AS p(");
    for (size_t i = 0; i < count; i++) {
        put_param(form, i);
        cairn_sql_form_str(form, ", ");
    }
    cairn_sql_form_str(form, form->shape->folds ? "w, n)" : "n)");
}

void cairn_sql_form_rows(struct cairn_sql_form *form)
{
    size_t count = form->reading->statement->param_count;
    assert(count > 0);
    for (size_t i = 0; i < count; i++) {
        cairn_sql_form_str(form, i == 0 ? "(SELECT unnest(" : ", unnest(");
        put_array(form, i);
        cairn_sql_form_str(form, ") AS ");
        put_param(form, i);
    }
    if (form->shape->folds) {
        cairn_sql_form_number(form, ", unnest($", count + 1);
        cairn_sql_form_str(form, "::bigint[]) AS w");
    }
    cairn_sql_form_str(form, ") AS ");
    cairn_sql_form_str(form, form->arrays);
}
