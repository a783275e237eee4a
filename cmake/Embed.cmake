# Turns a file into a C source with its bytes: -DIN=... -DOUT=... -DSYMBOL=...
file(READ ${IN} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
file(WRITE ${OUT}
  "extern const unsigned char ${SYMBOL}[];\nextern const unsigned int ${SYMBOL}_size;\n"
  "const unsigned char ${SYMBOL}[] = {${bytes}0};\nconst unsigned int ${SYMBOL}_size = ${size};\n")
