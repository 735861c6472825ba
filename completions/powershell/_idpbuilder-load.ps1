
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'idpbuilder-load' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'idpbuilder-load'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'idpbuilder-load' {
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'File or image layout (a directory) to read; - is standard input [default: standard input]')
            [CompletionResult]::new('--input', '--input', [CompletionResultType]::ParameterName, 'File or image layout (a directory) to read; - is standard input [default: standard input]')
            [CompletionResult]::new('--platform', '--platform', [CompletionResultType]::ParameterName, 'Keep one image of each index, the one for this platform')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'How to show progress on standard error')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print names only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print names only')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
